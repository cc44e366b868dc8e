import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesOfText,
  decodeCodePoint,
  isUtf8,
  textForPeople,
  textKeepingBytes,
} from "../../src/bytes/utf8.js";

/** Bytes that are mostly parts of broken sequences. */
const nastyBytes = fc
  .array(fc.constantFrom(0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xf5, 0xff))
  .map((bytes) => Uint8Array.from(bytes));

describe("textForPeople", () => {
  // Go: for _, r := range "…" yields one U+FFFD for each byte that is not part of valid UTF-8.
  it.each([
    ["e282", "\ufffd\ufffd"],
    ["e28241", "\ufffd\ufffdA"],
    ["e282ac", "€"],
    ["f09f98", "\ufffd\ufffd\ufffd"],
    ["f09f9880", "😀"],
    ["c0af", "\ufffd\ufffd"],
    ["eda080", "\ufffd\ufffd\ufffd"],
    ["e08080", "\ufffd\ufffd\ufffd"],
    ["f4908080", "\ufffd\ufffd\ufffd\ufffd"],
    ["41ff42", "A\ufffdB"],
    ["efbfbd", "\ufffd"],
    ["", ""],
  ])("replaces each bad byte of %s by one U+FFFD", (hex, text) => {
    expect(textForPeople(Buffer.from(hex, "hex"))).toBe(text);
  });

  it("leaves valid text as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(textForPeople(Buffer.from(text, "utf8"))).toBe(text);
      }),
    );
  });
});

describe("decodeCodePoint", () => {
  it("finds what TextDecoder finds in every code point", () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const bytes = Buffer.from(String.fromCodePoint(code), "utf8");
      const decoded = decodeCodePoint(bytes, 0);
      if (decoded !== code * 8 + bytes.length)
        throw new Error(`U+${code.toString(16)} decoded as ${decoded}`);
    }
  });

  it("agrees with isUtf8 on what is valid", () => {
    fc.assert(
      fc.property(nastyBytes, (bytes) => {
        let valid = true;
        for (let at = 0; at < bytes.length; ) {
          const decoded = decodeCodePoint(bytes, at);
          valid &&= decoded >= 0;
          at += decoded < 0 ? 1 : decoded & 7;
        }
        expect(valid).toBe(isUtf8(bytes));
      }),
    );
  });
});

describe("textKeepingBytes", () => {
  it("keeps every byte for bytesOfText", () => {
    fc.assert(
      fc.property(fc.oneof(nastyBytes, fc.uint8Array()), (bytes) => {
        expect(bytesOfText(textKeepingBytes(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
