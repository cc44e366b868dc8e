import { describe, expect, it } from "vitest";
import { parsePatternFile, pathText, readTextLines, textBytes } from "../../src/patterns/mod.js";

describe("parsePatternFile", () => {
  const environment = { HOME: "/home/me", A_1: "one" };
  const parse = (text: string) => parsePatternFile(Buffer.from(text), environment);

  it("trims lines and leaves out empty ones and comments", () => {
    expect(parse("\n  a b \t\r\n# no\n   # nor this\nlast")).toEqual(["a b", "last"]);
  });

  it("puts variables in, and nothing for one that is not set", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how variables are written
    expect(parse("$HOME/x\n${A_1}y\n$NONE/z\n$$5\n$ $\n${A_1")).toEqual([
      "/home/me/x",
      "oney",
      "/z",
      "$5",
      "$ $",
      "A_1",
    ]);
  });

  it("understands byte order marks", () => {
    expect(parse("\ufeffa")).toEqual(["a"]);
    const wide = Buffer.from("\ufeffä\r\nb", "utf16le");
    expect(parsePatternFile(wide, {})).toEqual(["ä", "b"]);
    expect(parsePatternFile(wide.swap16(), {})).toEqual(["ä", "b"]);
  });
});

describe("readTextLines", () => {
  it("keeps bytes that are no UTF-8, and blank lines", () => {
    const lines = readTextLines(Buffer.from("a\xff\n\nb\r\n", "latin1"));
    expect(lines.map((line) => line.toString("latin1"))).toEqual(["a\xff", "", "b"]);
  });
});

describe("textBytes", () => {
  it("gives back the bytes that pathText made a text of", () => {
    for (const bytes of ["plain", "\xff\xfe", "é".repeat(3), "\xf0\x9f\x98\x80 \xf0\x9f", "\xed\xa0\x80"]) {
      const raw = Buffer.from(bytes, "latin1");
      expect(textBytes(pathText(raw)).toString("latin1")).toBe(bytes);
    }
  });
});
