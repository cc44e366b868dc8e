import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { IdNumbers } from "../../src/repository/id-numbers.js";

const id = (text: string | number) => new Uint8Array(createHash("sha256").update(`${text}`).digest());

describe("IdNumbers", () => {
  it("numbers IDs in the order in which they come, each once", () => {
    const numbers = new IdNumbers();
    for (let i = 0; i < 10_000; i++) expect(numbers.add(id(i))).toBe(i);
    for (let i = 0; i < 10_000; i++) {
      expect(numbers.add(id(i))).toBe(i);
      expect(numbers.numberOf(id(i))).toBe(i);
      expect(numbers.at(i)).toEqual(id(i));
    }
    expect(numbers.length).toBe(10_000);
    for (let i = 0; i < 1000; i++) expect(numbers.numberOf(id(`other ${i}`))).toBe(-1);
  });

  it("tells IDs apart that begin alike, and copies them", () => {
    const numbers = new IdNumbers();
    const one = id("one");
    const other = one.slice();
    other[31]! ^= 1;
    expect([numbers.add(one), numbers.add(other), numbers.numberOf(new Uint8Array(32))]).toEqual([0, 1, -1]);
    const copy = one.slice();
    one.fill(0);
    expect(numbers.numberOf(copy)).toBe(0);
  });
});
