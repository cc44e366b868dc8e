import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { WRITING } from "../../commands/ask-ahead.js";
import { runCheck } from "../../commands/check.js";
import { UsageError, YoreError } from "../../errors.js";
import {
  type CheckEvent,
  type CheckHint,
  type CheckProblem,
  type CheckProgress,
  type CheckSummary,
  newCheckProgress,
  type PackSubset,
} from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { type PhaseState, PhaseView } from "../phase-progress.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { terminalText } from "../terminal-text.js";
import { formatBytes, parseSize } from "../units.js";

interface CheckFlags extends SnapshotFilterFlags {
  readonly readData?: boolean;
  readonly readDataSubset?: string;
  readonly checkUnused?: boolean;
  readonly withCache?: boolean;
}

/** Groups are told by the first byte of a pack ID. */
const MAX_GROUPS = 256;

export function registerCheck(program: Command, io: Io): void {
  const command = program
    .command("check")
    .description("say whether the repository is whole")
    .argument("[snapshotID...]", "check only these snapshots and the packs that they need")
    .option("--read-data", "read and verify all packs")
    .option(
      "--read-data-subset <subset>",
      "read and verify some packs: 'n/t' is part n of t, 'x%' or a size like 2G are random ones",
    )
    .option("--check-unused", "also tell which blobs no snapshot uses")
    .option("--with-cache", "use the local cache for what it has");
  addSnapshotFilter(command);
  command.action(
    action<CheckFlags>(io, async (context, args, flags) => {
      const readData = parseReadData(flags);
      const filter = resolveSnapshotFilter(flags, io.env);
      const view = new CheckView(context, readData);
      if (!context.global.noLock) context.print("create exclusive lock for repository");
      const summary = await context.withSession(
        { lock: "exclusive", ahead: WRITING, cache: flags.withCache ? "kept" : "temporary" },
        async (session) => {
          const progress = newCheckProgress();
          const renderer = context.startProgress(new PhaseView(() => checkState(progress)).lines);
          try {
            const findUnused = flags.checkUnused === true;
            return await runCheck(
              session,
              { readData, snapshots: args, filter, findUnused },
              { progress, on: (event) => view.show(event) },
            );
          } finally {
            renderer.stop();
          }
        },
      );
      view.finish(summary);
      return undefined;
    }),
  );
}

/** What is shown while a check runs. */
export function checkState(progress: CheckProgress): PhaseState | undefined {
  const { phase, trees, treesTotal, bytes, bytesTotal } = progress;
  switch (phase) {
    case "index":
      return {
        phase,
        done: progress.indexFiles,
        total: progress.indexFilesTotal,
        what: "index files loaded",
      };
    case "structure":
      return {
        phase,
        done: progress.snapshots,
        total: progress.snapshotsTotal,
        what: `snapshots, ${trees} trees`,
        work: { done: trees, total: treesTotal },
      };
    case "data":
      return {
        phase,
        done: progress.packs,
        total: progress.packsTotal,
        what: `packs, ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}`,
        work: { done: bytes, total: bytesTotal },
      };
    default:
      return undefined;
  }
}

/** @throws {UsageError} */
function parseReadData(flags: CheckFlags): PackSubset | undefined {
  if (flags.readDataSubset === undefined || flags.readDataSubset === "")
    return flags.readData ? { kind: "all" } : undefined;
  if (flags.readData)
    throw new UsageError("check flags --read-data and --read-data-subset cannot be used together");
  return parseSubset(flags.readDataSubset);
}

function parseSubset(text: string): PackSubset {
  const flag = "check flag --read-data-subset";
  const [, n, t] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (n !== undefined && t !== undefined) {
    const [group, groups] = [Number(n), Number(t)];
    if (group === 0 || groups === 0 || group > groups)
      throw new UsageError(
        `${flag}=n/t values must be positive integers, and n <= t, e.g. --read-data-subset=1/2`,
      );
    if (groups > MAX_GROUPS) throw new UsageError(`${flag}=n/t t must be at most ${MAX_GROUPS}`);
    return { kind: "group", group, groups };
  }
  if (text.endsWith("%")) {
    const percent = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%$/.test(text)
      ? Number(text.slice(0, -1))
      : Number.NaN;
    if (Number.isNaN(percent)) throw new UsageError(`${flag} has invalid value, please see documentation`);
    if (percent <= 0 || percent > 100)
      throw new UsageError(`${flag}=x% x must be above 0.0% and at most 100.0%`);
    return { kind: "percent", percent };
  }
  return { kind: "bytes", bytes: parseSubsetSize(text) };
}

function parseSubsetSize(text: string): number {
  let bytes = 0;
  let cause: unknown;
  try {
    bytes = parseSize("--read-data-subset", text);
  } catch (error) {
    cause = error;
  }
  if (bytes > 0) return bytes;
  throw new UsageError("check flag --read-data-subset has invalid value, please see documentation", {
    cause,
  });
}

/** Renders what a check tells: problems on stderr, everything else on stdout, with `--json` problems only. */
export class CheckView {
  readonly #context: CommandContext;
  readonly #readData: PackSubset | undefined;
  #duplicates = false;
  #mixed = false;
  #hasErrors = false;
  #orphans = 0;

  constructor(context: CommandContext, readData: PackSubset | undefined) {
    this.#context = context;
    this.#readData = readData;
  }

  show(event: CheckEvent): void {
    switch (event.type) {
      case "phase":
        this.#showPhase(event.phase);
        return;
      case "hint":
        this.#showHint(event.hint);
        return;
      case "problem":
        this.#hasErrors = true;
        for (const line of problemLines(event.problem)) this.#error(line);
        return;
      case "reading":
        this.#context.print(readingLine(this.#readData, event));
    }
  }

  /** @throws {YoreError} if there are problems */
  finish(summary: CheckSummary): void {
    const ids = summary.brokenPacks.map(formatId);
    const isDamaged = summary.errors > summary.keyErrors + summary.unreadErrors;
    if (summary.stoppedAtIndex && isDamaged)
      this.#error(
        "\nThe repository index is damaged and must be repaired. You must run `yore repair index' to correct this.\n",
      );
    else if (ids.length > 0) {
      this.#error(
        "\nThe repository contains damaged pack files. Keep a copy of the repository, then take out what is still good in them, and let the snapshots do without the rest, with the following commands:\n",
      );
      this.#error(`yore repair packs ${ids.join(" ")}\nyore repair snapshots --forget\n`);
      this.#error(
        "Damaged pack files come from the storage, the way to it, or the memory of a machine that wrote them.",
      );
    } else if (isDamaged)
      this.#error(
        "\nThe repository is damaged and must be repaired: `yore repair index` takes up what is there, then `yore repair snapshots --forget` lets the snapshots do without what is not.\n",
      );
    if (summary.unreadErrors > 0)
      this.#error(
        "\nWhat could not be read may be whole: look after the way to the repository, and what it lies on, and check again before anything is repaired.\n",
      );
    const damagedKeys = summary.damagedKeys.map(formatShortId);
    if (damagedKeys.length > 0)
      this.#error(
        `\nThe passwords of damaged keys do not open the repository any more. Add them again with \`yore key add\`, then take away what is left of the keys with \`yore key remove\`: ${damagedKeys.join(" ")}\n`,
      );
    if (this.#context.global.json) this.#context.json(summaryJson(summary));
    if (summary.errors > 0) throw new YoreError("damaged", "repository contains errors");
    this.#context.print("no errors were found");
  }

  #showPhase(phase: CheckProgress["phase"]): void {
    if (phase === "index") this.#context.print("load indexes");
    if (phase === "packs") {
      if (this.#duplicates)
        this.#say("Duplicate packs are non-critical, you can run `yore repair index' to correct this.");
      if (this.#mixed)
        this.#say(
          "Mixed packs with tree and data blobs are non-critical, you can run `yore prune` to correct this.",
        );
      this.#context.print("check all packs");
    }
    if (phase === "structure") {
      // What a damaged repository has too much of is the least of its troubles.
      if (this.#orphans > 0 && !this.#hasErrors) {
        this.#context.print(
          `${this.#orphans} additional files were found in the repo, which likely contain duplicate data.`,
        );
        this.#context.print("This is non-critical, you can run `yore prune` to correct this.");
      }
      this.#context.print("check snapshots, trees and blobs");
    }
  }

  #showHint(hint: CheckHint): void {
    switch (hint.kind) {
      case "duplicate-pack":
        this.#duplicates = true;
        this.#say(
          `pack ${formatId(hint.packId)} contained in several indexes: {${hint.indexes.map(formatShortId).join(" ")}}`,
        );
        return;
      case "mixed-pack":
        this.#mixed = true;
        this.#say(`pack ${formatShortId(hint.packId)} contains a mix of tree and data blobs`);
        return;
      case "orphaned-pack":
        this.#orphans++;
        this.#context.verbose(2, `pack ${formatId(hint.packId)}: not referenced in any index`);
        return;
      case "unused-blob":
        this.#context.print(`unused blob <${hint.type}/${formatShortId(hint.id)}>`);
    }
  }

  /** Shown even with `--quiet`. */
  #say(line: string): void {
    if (!this.#context.global.json) this.#context.io.stdout.line(line);
  }

  #error(text: string): void {
    if (this.#context.global.json)
      this.#context.io.stderr.json({ message_type: "error", message: `${text}\n` });
    else this.#context.warn(text.split("\n").map(terminalText).join("\n"));
  }
}

function problemLines(problem: CheckProblem): string[] {
  switch (problem.kind) {
    case "key":
      return [`error: key ${formatId(problem.id)} cannot be read: ${problem.error.message}`];
    case "index":
      return [`error: error loading index ${formatId(problem.id)}: ${problem.error.message}`];
    case "index-conflict":
      return [
        `error: pack ${formatId(problem.packId)} has different data in indexes: {${problem.indexes.map(formatShortId).join(" ")}}`,
      ];
    case "pack-missing":
      return [`pack ${formatId(problem.packId)}: does not exist`];
    case "pack-size":
      return [
        `pack ${formatId(problem.packId)}: unexpected file size: got ${problem.found}, expected ${problem.expected}`,
      ];
    case "pack-unreadable":
      return [`pack ${formatId(problem.packId)}: cannot be read: ${problem.error.message}`];
    case "pack-data": {
      const findings = [
        ...problem.blobs.map(({ type, id, reason }) => `${type} blob ${formatId(id)}: ${reason}`),
        ...problem.reasons,
      ];
      return [
        `pack ${formatId(problem.packId)} contains ${findings.length} errors:`,
        ...findings.map((finding) => `  ${finding}`),
      ];
    }
    case "snapshot":
      return [`error: failed to load snapshot ${formatShortId(problem.id)}: ${problem.error.message}`];
    case "tree":
      return [
        `error for tree ${formatShortId(problem.id)}:`,
        ...problem.reasons.map((reason) => `  ${reason}`),
      ];
  }
}

function readingLine(
  subset: PackSubset | undefined,
  event: Extract<CheckEvent, { type: "reading" }>,
): string {
  const filtered = event.isFiltered ? "filtered " : "";
  switch (subset?.kind) {
    case "group":
      return `read group #${subset.group} of ${event.packs} ${filtered}data packs (out of total ${event.packsTotal} packs in ${subset.groups} groups)`;
    case "percent":
      return `read ${subset.percent.toFixed(1)}% of ${filtered}packfiles`;
    case "bytes": {
      const bytes = Math.min(subset.bytes, event.bytesTotal);
      const percent = event.bytesTotal === 0 ? 100 : (bytes / event.bytesTotal) * 100;
      return `read ${bytes} bytes (${percent.toFixed(1)}%) of ${filtered}data packs`;
    }
    default:
      return `read all ${filtered}data`;
  }
}

function summaryJson(summary: CheckSummary): unknown {
  return {
    message_type: "summary",
    num_errors: summary.errors,
    broken_packs: summary.brokenPacks.length > 0 ? summary.brokenPacks.map(formatId) : null,
    suggest_repair_index: summary.suggestRepairIndex,
    suggest_prune: summary.suggestPrune,
  };
}
