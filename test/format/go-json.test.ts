import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { goJsonBytes, goJsonObject, goJsonString, goJsonValue } from "../../src/format/go-json.js";

describe("goJsonString", () => {
  it.each([
    ["<>&", '"\\u003c\\u003e\\u0026"'],
    ["\u2028\u2029", '"\\u2028\\u2029"'],
    ["\b\f\n\r\t\v\x00\x1f\x7f", '"\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7f"'],
    ['"\\/', '"\\"\\\\/"'],
    ["é\ufffd😀", '"é\ufffd😀"'],
    ["a\ud800b\udfff", '"a\\ufffdb\\ufffd"'],
    ["", '""'],
  ])("writes %j as %s", (text, json) => {
    expect(goJsonString(text)).toBe(json);
  });

  it("is read back by JSON.parse", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(JSON.parse(goJsonString(text))).toBe(text);
      }),
    );
  });
});

describe("goJsonBytes", () => {
  it("tells bad bytes from a real U+FFFD", () => {
    expect(goJsonBytes(Buffer.from("61ffe282efbfbd", "hex"))).toBe('"a\\ufffd\\ufffd\\ufffd\ufffd"');
  });
});

describe("goJsonValue", () => {
  it("writes any JSON value so that it reads the same", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(goJsonValue(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("leaves out members that are undefined, and writes bigints exactly", () => {
    expect(
      goJsonObject([
        ["a", undefined],
        ["b", 2n ** 64n - 1n],
        ["c", null],
      ]),
    ).toBe('{"b":18446744073709551615,"c":null}');
  });
});
