/** What is made of the samples: medians, and the ratio pair by pair. */
import type { Sample } from "./measure.js";

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws {RangeError} of no values */
export function summarise(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The rival's seconds divided by ours, each pair by itself: what slows the machine for a while slows both halves. */
export function ratios(ours: readonly Sample[], theirs: readonly Sample[]): Summary {
  if (ours.length !== theirs.length)
    throw new RangeError("a ratio needs as many samples of one as of the other");
  return summarise(ours.map((sample, i) => theirs[i]!.seconds / sample.seconds));
}

/** @throws {RangeError} of no values */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("no values have no median");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
