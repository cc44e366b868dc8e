import { afterEach, describe, expect, it } from "vitest";
import { formatZonedTime } from "../../src/cli/times.js";
import { parseTimestamp } from "../../src/format/timestamp.js";

const zone = process.env["TZ"];
afterEach(() => {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
});

describe("formatZonedTime", () => {
  // As Go's Time.String has it for what was parsed from RFC 3339.
  it.each([
    ["2026-11-22T14:51:26.223529531Z", "2026-11-22 14:51:26.223529531 +0000 UTC"],
    ["2024-01-02T03:04:05+01:00", "2024-01-02 03:04:05 +0100 CET"],
    ["2024-07-02T03:04:05.5+02:00", "2024-07-02 03:04:05.5 +0200 CEST"],
    ["2024-01-02T03:04:05-08:00", "2024-01-02 03:04:05 -0800 -0800"],
  ])("writes %s as Go does in Berlin", (text, shown) => {
    process.env["TZ"] = "Europe/Berlin";
    expect(formatZonedTime(parseTimestamp(text))).toBe(shown);
  });
});
