import { describe, expect, it } from "vitest";
import {
  equalIds,
  formatId,
  formatShortId,
  IdList,
  idFromBytes,
  idKey,
  isHexId,
  parseId,
} from "../../src/bytes/id.js";

const HEX = "0123456789abcdef".repeat(4);

describe("parseId", () => {
  it("reads 64 lower-case hex digits, and formatId writes them", () => {
    const id = parseId(HEX)!;
    expect(id).toHaveLength(32);
    expect(formatId(id)).toBe(HEX);
    expect(formatShortId(id)).toBe("01234567");
    expect(idKey(id)).toHaveLength(32);
  });

  it.each(["", HEX.toUpperCase(), HEX.slice(1), `${HEX}0`, ` ${HEX}`, `${HEX}\n`, HEX.replace("0", "g")])(
    "refuses %j",
    (text) => {
      expect(parseId(text)).toBeUndefined();
      expect(isHexId(text)).toBe(false);
    },
  );
});

describe("idFromBytes", () => {
  it("takes exactly 32 bytes", () => {
    expect(() => idFromBytes(new Uint8Array(31))).toThrow(RangeError);
    expect(() => idFromBytes(new Uint8Array(33))).toThrow(RangeError);
    expect(equalIds(idFromBytes(new Uint8Array(32)), new Uint8Array(32))).toBe(true);
  });
});

describe("IdList", () => {
  it("hands out its IDs one by one", () => {
    const ids = [parseId(HEX)!, idFromBytes(new Uint8Array(32))];
    const list = IdList.from(ids);
    expect(list.length).toBe(2);
    expect([...list].map(formatId)).toEqual(ids.map(formatId));
    expect(() => list.at(2)).toThrow(RangeError);
    expect(() => list.at(-1)).toThrow(RangeError);
    expect(() => new IdList(new Uint8Array(33))).toThrow(RangeError);
    expect(IdList.EMPTY.length).toBe(0);
  });
});
