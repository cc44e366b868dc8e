import { describe, expect, it } from "vitest";
import { formatBytes, formatDuration, formatPercent, parseDuration, parseSize } from "../../src/cli/units.js";
import { UsageError } from "../../src/errors.js";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.000 KiB"],
    [3_000_000, "2.861 MiB"],
    [6_000_003, "5.722 MiB"],
    [6720, "6.562 KiB"],
    [6721, "6.563 KiB"],
    [1024 ** 2 - 1, "1023.999 KiB"],
    [5 * 1024 ** 4, "5.000 TiB"],
  ])("writes %d as restic does", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0:00"],
    [65.9, "1:05"],
    [3600, "1:00:00"],
    [360_001, "100:00:01"],
  ])("writes %d seconds as a clock", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe("formatPercent", () => {
  it("never shows more than all, and nothing of nothing", () => {
    expect(formatPercent(1, 3)).toBe("33.33%");
    expect(formatPercent(1, 32)).toBe("3.12%");
    expect(formatPercent(5, 4)).toBe("100.00%");
    expect(formatPercent(0, 0)).toBe("0.00%");
  });
});

describe("parseSize", () => {
  it.each([
    ["10", 10],
    ["10b", 10],
    ["4K", 4096],
    ["4k", 4096],
    ["3m", 3 * 1024 ** 2],
    ["2G", 2 * 1024 ** 3],
    ["1t", 1024 ** 4],
  ])("reads %s", (text, bytes) => {
    expect(parseSize("--size", text)).toBe(bytes);
  });

  it.each(["", "k", "1.5G", "10KB", "1 k", "99999999999t", "-1", "-5M"])("refuses %j", (text) => {
    expect(() => parseSize("--size", text)).toThrow(UsageError);
  });
});

describe("parseDuration", () => {
  it.each([
    ["0", 0],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["100ms", 100],
    ["-2s", -2000],
    [".5h", 1_800_000],
  ])("reads %s as Go does", (text, ms) => {
    expect(parseDuration("--time", text)).toBe(ms);
  });

  it.each(["", "5", "m", "1d", "5 m", "1h-5m"])("refuses %j", (text) => {
    expect(() => parseDuration("--time", text)).toThrow(UsageError);
  });
});
