import { describe, expect, it } from "vitest";
import { formatGoMode } from "../../src/cli/go-file-mode.js";

describe("formatGoMode", () => {
  // Modes and texts as restic 0.19.1 printed them.
  it.each([
    [2147484141, "drwxr-xr-x"],
    [8389101, "urwxr-xr-x"],
    [69206436, "Dcrw-r--r--"],
    [33554852, "prw-r--r--"],
    [134218239, "Lrwxrwxrwx"],
    [2148532735, "dtrwxrwxrwx"],
    [420, "-rw-r--r--"],
    [0, "----------"],
  ])("writes %d as %s", (mode, text) => {
    expect(formatGoMode(mode)).toBe(text);
  });
});
