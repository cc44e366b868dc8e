import { describe, expect, it } from "vitest";
import { parseTimestamp } from "../../src/format/timestamp.js";
import { formatTimeLayout, RFC3339 } from "../../src/snapfs/time-layout.js";

const AFTERNOON = parseTimestamp("2026-02-03T16:05:06.012345678+05:30");
const MORNING = parseTimestamp("2025-12-31T00:09:59Z");

describe("formatTimeLayout", () => {
  it("writes a zone without a name as Go does, minutes included when there are none", () => {
    expect(formatTimeLayout("15 MST", parseTimestamp("2024-01-01T10:00:00+02:00"))).toBe("10 +0200");
    expect(formatTimeLayout("15 MST", parseTimestamp("2024-01-01T10:00:00-12:00"))).toBe("10 -1200");
  });

  // The layouts of Go's package time, and what its documentation says about tokens.
  it.each([
    [RFC3339, "2026-02-03T16:05:06+05:30", "2025-12-31T00:09:59Z"],
    ["2006-01-02T15:04:05.999999999Z07:00", "2026-02-03T16:05:06.012345678+05:30", "2025-12-31T00:09:59Z"],
    ["01/02 03:04:05PM '06 -0700", "02/03 04:05:06PM '26 +0530", "12/31 12:09:59AM '25 +0000"],
    ["Mon Jan _2 15:04:05 2006", "Tue Feb  3 16:05:06 2026", "Wed Dec 31 00:09:59 2025"],
    [
      "Monday, 02-Jan-06 15:04:05 MST",
      "Tuesday, 03-Feb-26 16:05:06 +0530",
      "Wednesday, 31-Dec-25 00:09:59 UTC",
    ],
    ["3:04pm", "4:05pm", "12:09am"],
    ["2006/002 __2", "2026/034  34", "2025/365 365"],
    ["05.000 05,00 5.99", "06.012 06,01 6.01", "59.000 59,00 59"],
    ["January 1 2", "February 2 3", "December 12 31"],
    ["-07 -07:00:00 Z07 Z0700 -070000", "+05 +05:30:00 +05 +0530 +053000", "+00 +00:00:00 Z Z +000000"],
    ["Month by Januaryish", "Month by Februaryish", "Month by Decemberish"],
    ["_2006_", "_2026_", "_2025_"],
    ["2006-01-02_15-04-05", "2026-02-03_16-05-06", "2025-12-31_00-09-59"],
  ])("%s", (layout, afternoon, morning) => {
    expect(formatTimeLayout(layout, AFTERNOON)).toBe(afternoon);
    expect(formatTimeLayout(layout, MORNING)).toBe(morning);
  });
});
