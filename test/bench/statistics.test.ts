import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { median, ratios, summarise } from "../../scripts/bench/statistics.js";

const taking = (seconds: number) => ({ seconds, cpuSeconds: 1, peakBytes: 1 });

describe("median", () => {
  it("is the middle of an odd number of values, and between the two in the middle of an even number", () => {
    expect(median([30, 2, 10])).toBe(10);
    expect(median([1, 100, 3, 2])).toBe(2.5);
  });

  it("has as many values above as below", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const middle = median(values);
        const below = values.filter((value) => value < middle).length;
        const above = values.filter((value) => value > middle).length;
        expect(Math.max(below, above)).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });

  it("refuses to make a figure out of nothing", () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => summarise([])).toThrow(RangeError);
  });
});

describe("ratios", () => {
  it("compares pair by pair, so that a slow minute of the machine falls out", () => {
    const ours = [taking(1), taking(10), taking(2)];
    const theirs = [taking(4), taking(40), taking(10)];
    expect(ratios(ours, theirs)).toEqual({ median: 4, min: 4, max: 5 });
  });

  it("refuses samples that are no pairs", () => {
    expect(() => ratios([taking(1)], [])).toThrow(RangeError);
  });
});
