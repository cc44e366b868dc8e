/** The result of a run as the README shows it: the machine, then a row for each task. */
import type { Sample } from "./measure.js";
import { median, ratios, type Summary } from "./statistics.js";

/** Why a program has no samples: it says that it cannot do this yet, or something did not work. */
export type Missing = { readonly unsupported: true } | { readonly failed: string };

export interface Result {
  readonly task: string;
  readonly what: string;
  readonly ours: readonly Sample[] | Missing;
  readonly theirs: readonly Sample[] | Missing;
  /** What the same takes with no backup program: the physical limit. */
  readonly limit?: Sample;
}

export interface Report {
  /** One line about the machine, the programs and the way of measuring. */
  readonly machine: string;
  readonly rival: string;
  readonly results: readonly Result[];
}

export function hasSamples(samples: readonly Sample[] | Missing): samples is readonly Sample[] {
  return Array.isArray(samples);
}

/** The whole of it, as one piece of Markdown. */
export function formatReport(report: Report): string {
  return [formatHead(report.machine, report.rival), ...report.results.map(formatRow)].join("\n");
}

export function formatHead(machine: string, rival: string): string {
  return [
    `${machine}.`,
    "Medians; CPU seconds of all processes, those that read the mount included; peak memory of the program alone.",
    "The limit is the same work with no backup program: on the plain files, `cp -r` for backup and restore, `cat` of the packs.",
    "",
    `| task | yore: s, CPU s, MiB | ${rival}: s, CPU s, MiB | ${rival} / yore (min to max) | limit: s | yore / limit |`,
    "|---|--:|--:|--:|--:|--:|",
  ].join("\n");
}

export function formatRow(result: Result): string {
  const { ours, theirs, limit } = result;
  const cells = [result.what, formatSamples(ours), formatSamples(theirs)];
  cells.push(hasSamples(ours) && hasSamples(theirs) ? formatRatio(ratios(ours, theirs)) : "");
  cells.push(limit ? limit.seconds.toFixed(2) : "");
  cells.push(limit && hasSamples(ours) ? (medianOf(ours, "seconds") / limit.seconds).toFixed(1) : "");
  return `| ${cells.join(" | ")} |`;
}

function formatSamples(samples: readonly Sample[] | Missing): string {
  if (!hasSamples(samples)) return "unsupported" in samples ? "not supported yet" : "failed";
  const peak = Math.round(medianOf(samples, "peakBytes") / 1024 ** 2);
  return `${medianOf(samples, "seconds").toFixed(2)}, ${medianOf(samples, "cpuSeconds").toFixed(1)}, ${peak}`;
}

function formatRatio({ median, min, max }: Summary): string {
  return `**${median.toFixed(1)}** (${min.toFixed(1)} to ${max.toFixed(1)})`;
}

function medianOf(samples: readonly Sample[], key: keyof Sample): number {
  return median(samples.map((sample) => sample[key]));
}

/** Whether something did not work; that a program cannot do it yet is no failure. */
export function hasFailed(result: Result): boolean {
  return [result.ours, result.theirs].some((samples) => "failed" in samples);
}
