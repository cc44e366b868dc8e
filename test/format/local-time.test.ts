import { expect, it } from "vitest";
import { formatLocalTime, parseTimestamp } from "../../src/format/timestamp.js";

// In a file of its own: what zone it is at a moment is remembered.
it("formatLocalTime shows the moment in the local zone", () => {
  process.env["TZ"] = "Europe/Berlin";
  expect(formatLocalTime(parseTimestamp("2024-07-02T03:04:05.9Z"))).toBe("2024-07-02 05:04:05");
  expect(formatLocalTime(parseTimestamp("2024-01-02T03:04:05-08:00"))).toBe("2024-01-02 12:04:05");
});
