import { expect, it } from "vitest";
import { formatGoDuration } from "../../src/format/go-duration.js";

it.each([
  [-5, "0s"],
  [0, "0s"],
  [250, "250ms"],
  [1000, "1s"],
  [1500, "1.5s"],
  [59_999, "59.999s"],
  [60_000, "1m0s"],
  [300_000, "5m0s"],
  [3_600_000, "1h0m0s"],
  [4_000_010, "1h6m40.01s"],
  [100 * 3_600_000 + 1, "100h0m0.001s"],
])("formatGoDuration writes %d ms as %s, as Go does", (ms, text) => {
  expect(formatGoDuration(ms)).toBe(text);
});
