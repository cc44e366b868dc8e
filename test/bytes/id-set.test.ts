import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { IdSet } from "../../src/bytes/id-set.js";

describe("IdSet", () => {
  it("has what was added and nothing else, through many growths", () => {
    const set = new IdSet();
    const ids = Array.from({ length: 5000 }, () => randomBytes(32));
    expect(ids.every((id) => set.add(id))).toBe(true);
    expect(ids.some((id) => set.add(id))).toBe(false);
    expect(set.size).toBe(5000);
    expect(ids.every((id) => set.has(id))).toBe(true);
    expect(set.has(randomBytes(32))).toBe(false);
  });

  it("tells IDs apart that share their first word", () => {
    const set = new IdSet();
    const ids = Array.from({ length: 300 }, (_, i) => {
      const id = Buffer.alloc(32, 1);
      id.writeUInt32LE(i, 28);
      return id;
    });
    for (const id of ids) set.add(id);
    expect(set.size).toBe(300);
    expect(ids.every((id) => set.has(id))).toBe(true);
  });

  it("never holds the ID of zeros", () => {
    const set = new IdSet();
    expect(set.add(new Uint8Array(32))).toBe(false);
    expect(set.has(new Uint8Array(32))).toBe(false);
  });
});
