import { describe, expect, it } from "vitest";
import { isPrintable } from "../../src/format/printable.js";

describe("isPrintable", () => {
  it("agrees with the engine's newer Unicode on all but what was assigned after 15.0", () => {
    const general = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
    let later = 0;
    for (let code = 0; code <= 0x10ffff; code++) {
      const now = general.test(String.fromCodePoint(code));
      if (isPrintable(code) === now) continue;
      // Characters are added and never taken away.
      if (!now) throw new Error(`U+${code.toString(16)} is not printable any more`);
      later += 1;
    }
    // Unicode 15.1 added 627 characters, 16.0 added 5,185, 17.0 added 4,803.
    const added: Record<string, number> = {
      "15.0": 0,
      "15.1": 627,
      "16.0": 627 + 5185,
      "17.0": 627 + 5185 + 4803,
    };
    const expected = added[process.versions["unicode"] ?? ""];
    if (expected !== undefined) expect(later).toBe(expected);
  });

  it.each([
    [0x20, true],
    [0x7e, true],
    [0x7f, false],
    [0xa0, false],
    [0xad, false],
    [0x378, false],
    [0x61d, true], // Unicode 14.0
    [0x1e4d0, true], // Unicode 15.0
    [0x2ffc, false], // Unicode 15.1
    [0x2ebf0, false], // Unicode 15.1
    [0x1c89, false], // Unicode 16.0
    [0xd800, false],
    [0xe000, false],
    [0xfffd, true],
    [0xfffe, false],
    [0x1f600, true],
    [0xe0100, true],
    [0xe0041, false],
    [0x10ffff, false],
  ])("takes U+%s for printable: %s", (code, printable) => {
    expect(isPrintable(code)).toBe(printable);
  });
});
