import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import { goJsonString } from "../../src/format/go-json.js";
import { isSafeName, quoteName, unquoteName } from "../../src/format/name-quoting.js";
import { NAME_VECTORS } from "../vectors/format-names.js";

describe("quoteName", () => {
  it.each(NAME_VECTORS)("writes %j as restic does", (raw, blobText) => {
    const bytes = Buffer.from(raw as string);
    expect(goJsonString(quoteName(bytes))).toBe(`"${blobText}"`);
    expect(unquoteName(JSON.parse(`"${blobText}"`) as string)).toEqual(bytes);
  });

  it("is undone by unquoteName for any bytes", () => {
    const text = fc.string({ unit: "binary" }).map((value) => Buffer.from(value, "utf8"));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), text), (bytes) => {
        expect(unquoteName(quoteName(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
  });
});

describe("unquoteName", () => {
  it.each([
    ["\\101\\000\\377", "4100ff"],
    ["\\x41\\xFF\\xff", "41ffff"],
    ["\\u20ac\\U0001F600", "e282acf09f9880"],
    ['\\a\\b\\f\\n\\r\\t\\v\\\\\\"', "07080c0a0d090b5c22"],
    ["€\\\\é", "e282ac5cc3a9"],
    ["", ""],
  ])("reads %s", (text, hex) => {
    expect(unquoteName(text).toString("hex")).toBe(hex);
  });

  it.each([
    '"',
    "a\nb",
    "\\",
    "a\\",
    "\\'",
    "\\q",
    "\\x4",
    "\\xg0",
    "\\x",
    "\\u123",
    "\\U0011000",
    "\\U00110000",
    "\\ud800",
    "\\8",
    "\\18",
    "\\10",
    "\\400",
    "\\e",
    "\\0x1",
    "\\u+123",
    "\\x 1",
  ])("refuses %j as strconv.Unquote does", (text) => {
    expect(() => unquoteName(text)).toThrow(FormatError);
  });
});

describe("isSafeName", () => {
  it.each(["a", "...", "..a", ".a", "\xff", " ", "-"])("accepts %j", (name) => {
    expect(isSafeName(Buffer.from(name, "latin1"))).toBe(true);
  });

  it.each(["", ".", "..", "a/b", "/", "a\0", "\0"])("rejects %j", (name) => {
    expect(isSafeName(Buffer.from(name, "latin1"))).toBe(false);
  });
});
