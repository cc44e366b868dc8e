/** The table of a run: medians of seconds, processor seconds and memory, and the ratio pair by pair. */
import type { Sample } from "./measure.js";

export interface Measured {
  readonly task: string;
  readonly what: string;
  readonly ours: readonly Sample[];
  readonly theirs: readonly Sample[];
  /** What the same takes with no backup program: the physical limit. */
  readonly limit?: Sample;
}

export function HEADER(rival: string): string {
  return [
    `| task | yore: s, CPU s, MiB | ${rival}: s, CPU s, MiB | ${rival} / yore (min to max) | limit: s | yore / limit |`,
    "|---|---|---|---|---|---|",
  ].join("\n");
}

export function formatRow(measured: Measured): string {
  const ratios = measured.ours.map((sample, i) => measured.theirs[i]!.seconds / sample.seconds);
  const seconds = median(measured.ours.map((sample) => sample.seconds));
  const range = `${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)}`;
  const limit = measured.limit
    ? `${measured.limit.seconds.toFixed(2)} | ${(seconds / measured.limit.seconds).toFixed(1)}`
    : " | ";
  return `| ${measured.what} | ${cell(measured.ours)} | ${cell(measured.theirs)} | **${median(ratios).toFixed(1)}** (${range}) | ${limit} |`;
}

function cell(samples: readonly Sample[]): string {
  const seconds = median(samples.map((sample) => sample.seconds)).toFixed(2);
  const cpu = median(samples.map((sample) => sample.cpuSeconds)).toFixed(1);
  const peak = Math.round(Math.max(...samples.map((sample) => sample.peakBytes)) / 1024 ** 2);
  return `${seconds}, ${cpu}, ${peak}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
