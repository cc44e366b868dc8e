import { describe, expect, it } from "vitest";
import { renderTable } from "../../src/cli/table.js";
import { cutToWidth, textWidth } from "../../src/cli/text-width.js";

describe("renderTable", () => {
  it("aligns by the columns of a terminal, and leaves nothing at the end of lines", () => {
    const lines = renderTable(
      [{ header: "ID" }, { header: "Host" }, { header: "Size", align: "right" }],
      [
        ["a", "日本", "1 B"],
        ["b", "host\nother", "22 B"],
        ["c", "", ""],
      ],
      { footer: ["3 rows"] },
    );
    expect(lines).toEqual([
      "ID  Host   Size",
      "---------------",
      "a   日本    1 B",
      "b   host   22 B",
      "    other",
      "c",
      "---------------",
      "3 rows",
    ]);
  });

  it("puts empty lines between the rows of a spaced table", () => {
    expect(renderTable([{ header: "A" }], [["1"], ["2"]], { spaced: true })).toEqual([
      "A",
      "-",
      "1",
      "",
      "2",
      "-",
    ]);
  });
});

describe("textWidth", () => {
  it.each([
    ["abc", 3],
    ["日本", 4],
    ["e\u0301", 1],
    ["👍", 2],
    ["a\u200db", 2],
    ["\x1b", 0],
  ])("measures %j", (text, width) => {
    expect(textWidth(text)).toBe(width);
  });
});

describe("cutToWidth", () => {
  it("never cuts a wide character in two", () => {
    expect(cutToWidth("a日本", 4)).toBe("a日");
    expect(cutToWidth("abc", 3)).toBe("abc");
    expect(cutToWidth("a👍b", 2)).toBe("a");
  });
});
