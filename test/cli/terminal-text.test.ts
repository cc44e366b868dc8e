import { describe, expect, it } from "vitest";
import { terminalName, terminalText } from "../../src/cli/terminal-text.js";

describe("terminalText", () => {
  it.each([
    ["plain é 日本 👍", "plain é 日本 👍"],
    ["a\x1b[31mred", "a\\x1b[31mred"],
    ["b\nnew\ttab\r", "b\\nnew\\ttab\\r"],
    ["c\x9b2J", "c\\x9b2J"],
    ["d\u202erev", "d\\u202erev"],
    ["e\x00\x7f", "e\\x00\\x7f"],
    ["f\\back", "f\\back"],
  ])("makes %j harmless", (raw, shown) => {
    expect(terminalText(raw)).toBe(shown);
  });
});

describe("terminalName", () => {
  it("shows bytes that are no UTF-8 one by one, and keeps the text around them", () => {
    expect(terminalName(Buffer.from("c\xff", "latin1"))).toBe("c\\xff");
    expect(
      terminalName(Buffer.concat([Buffer.from("é\x1b"), Buffer.of(0xe2, 0x82), Buffer.from("日")])),
    ).toBe("é\\x1b\\xe2\\x82日");
  });
});
