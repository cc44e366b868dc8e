import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { END, JsonReader } from "../../src/bytes/json-reader.js";
import { NameTable, UNKNOWN } from "../../src/bytes/name-table.js";
import { FormatError } from "../../src/errors.js";

function readerOf(text: string | Uint8Array): JsonReader {
  return new JsonReader(typeof text === "string" ? Buffer.from(text) : text, () => "thing");
}

const white = fc.constantFrom("", " ", "\n", "\r\n", "\t \n");

describe("JsonReader", () => {
  it("walks an object in any order, skipping what is unknown", () => {
    const names = new NameTable(["a", "b", "long name"]);
    const reader = readerOf(
      ' { "x" : {"a":[1,{"b":"]}"}]}, "b":\n"text" ,"long name":[true,false,null], "a":17 } ',
    );
    const seen: unknown[] = [];
    reader.beginObject();
    for (let name = reader.nextMember(names); name !== END; name = reader.nextMember(names)) {
      if (name === UNKNOWN) reader.skip();
      else seen.push(names.names[name], reader.value());
    }
    reader.finish();
    expect(seen).toEqual(["b", "text", "long name", [true, false, null], "a", 17]);
  });

  it("knows a name that is written with escapes, and no name that only begins alike", () => {
    const names = new NameTable(["name"]);
    const reader = readerOf('{"n\\u0061me":1,"names":2,"nam":3,"":4}');
    reader.beginObject();
    const found: number[] = [];
    for (let name = reader.nextMember(names); name !== END; name = reader.nextMember(names)) {
      found.push(name);
      reader.skip();
    }
    expect(found).toEqual([0, UNKNOWN, UNKNOWN, UNKNOWN]);
  });

  it("parses and skips whatever JSON.parse takes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), white, white, (value, before, after) => {
        const text = before + JSON.stringify(value, null, after.length) + after;
        const reader = readerOf(text);
        expect(reader.value()).toEqual(JSON.parse(text));
        reader.finish();
      }),
    );
  });

  it.each([
    "",
    "{",
    "}",
    "[",
    "]",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "{,}",
    "[1,]",
    "[,1]",
    "[1 2]",
    '{"a":1 "b":2}',
    "{1:2}",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "0x1",
    "nul",
    "nulll",
    "True",
    "NaN",
    '"',
    '"\\"',
    '"\\x"',
    '"\\u12g4"',
    '"a\nb"',
    "'a'",
    "1 2",
    "[1}",
    '{"a":1]',
    "\u00a01",
    "//",
    '{"a":1}x',
  ])("refuses %j as JSON.parse does", (text) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(() => {
      const reader = readerOf(text);
      reader.skip();
      reader.finish();
    }).toThrow(FormatError);
  });

  it("refuses what nests too deeply instead of exhausting the stack", () => {
    expect(() => readerOf("[".repeat(1_000_000)).skip()).toThrow(/nesting/);
  });

  it("reads text as JSON.parse does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(readerOf(JSON.stringify(text)).text()).toBe(text);
        expect(readerOf(JSON.stringify(text)).text(text)).toBe(text);
        const reader = readerOf(JSON.stringify(text));
        reader.takeString();
        expect(reader.takenBytes().toString("utf8")).toBe(text);
      }),
    );
  });

  it("replaces bytes of a string that are no UTF-8, each by one U+FFFD", () => {
    expect(readerOf(Buffer.from('"\xe2\x82A"', "latin1")).text()).toBe("\ufffd\ufffdA");
    const reader = readerOf(Buffer.from('"\xff\\n"', "latin1"));
    reader.takeString();
    expect(reader.takenBytes().toString()).toBe("\ufffd\n");
  });

  it("reads numbers of 64 bits exactly", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        expect(readerOf(String(value)).uint64()).toBe(value);
        expect(readerOf(`${value},`).uint64(value)).toBe(value);
      }),
    );
    expect(readerOf("9007199254740991").uint(Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => readerOf("9007199254740992").uint(Number.MAX_SAFE_INTEGER)).toThrow(FormatError);
    expect(() => readerOf("18446744073709551616").uint64()).toThrow(FormatError);
    expect(readerOf("9007199254740990").clampedUint64()).toBe(Number.MAX_SAFE_INTEGER - 1);
    expect(readerOf("18446744073709551615").clampedUint64()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => readerOf("18446744073709551616").clampedUint64()).toThrow(FormatError);
    expect(() => readerOf("1".repeat(1_000_000)).uint64()).toThrow(FormatError);
    expect(readerOf("4294967295").uint(0xffff_ffff)).toBe(0xffff_ffff);
    expect(() => readerOf("4294967296").uint(0xffff_ffff)).toThrow(
      'Cannot decode thing: want a whole number from 0 to 4294967295 at offset 0, have "4294967296"',
    );
  });

  it.each(["-1", "1.0", "1e3", "01", '"1"', "null", "true", "", "1a"])(
    "refuses %j as a whole number",
    (text) => {
      expect(() => readerOf(text).uint(100)).toThrow(FormatError);
      expect(() => readerOf(text).uint64()).toThrow(FormatError);
    },
  );

  it("reads IDs, and refuses what is longer, shorter or no lower-case hex", () => {
    const hex = "0123456789abcdef".repeat(4);
    const id = new Uint8Array(40);
    readerOf(` "${hex}"`).id(id, 4);
    expect(Buffer.from(id).toString("hex")).toBe(`00000000${hex}00000000`);
    for (const bad of [
      hex.toUpperCase(),
      `${hex}0`,
      hex.slice(1),
      `${hex.slice(1)}g`,
      "",
      `${hex.slice(1)}"`,
    ])
      expect(() => readerOf(`"${bad}"`).id(id, 0)).toThrow(/want an ID of 64 hex digits/);
    expect(() => readerOf(`"${hex}`).id(id, 0)).toThrow(FormatError);
    expect(() => readerOf("12").id(id, 0)).toThrow(FormatError);
  });

  it("takes null only where there is one", () => {
    expect(readerOf("null").takeNull()).toBe(true);
    expect(readerOf("nul").takeNull()).toBe(false);
    expect(readerOf("0").takeNull()).toBe(false);
    const reader = readerOf("nullx");
    reader.takeNull();
    expect(() => reader.finish()).toThrow(FormatError);
  });

  it("says where it is, what it wanted and what is there", () => {
    const reader = readerOf('{"a":[]}');
    reader.beginObject();
    reader.nextMember(new NameTable(["a"]));
    expect(() => reader.text()).toThrow('Cannot decode thing: want a string at offset 5, have "[]}"');
  });

  it("never reads beyond a view", () => {
    const whole = Buffer.from('"abc"}}}}');
    expect(() => readerOf(whole.subarray(0, 4)).text()).toThrow(FormatError);
    expect(() => readerOf(Buffer.from("123").subarray(0, 0)).uint(9)).toThrow(FormatError);
  });
});
