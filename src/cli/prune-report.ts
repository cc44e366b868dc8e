import { formatId, formatShortId, type Id } from "../bytes/id.js";
import { MissingBlobsError, MissingPacksError, PackSizeError } from "../commands/prune.js";
import type { PruneEvent, PrunePlan, PruneProgress, PruneResult, PruneStatistics } from "../mod.js";
import type { CommandContext } from "./command-context.js";
import { type PhaseState, PhaseView } from "./phase-progress.js";
import { formatBytes, formatPercent } from "./units.js";

/** More than these are counted, not listed. */
const SHOWN_MISSING = 100;

/** What a prune says, as text in restic's words and as JSON in its newer shapes; also of `forget --prune`. */
export class PruneReport {
  readonly #context: CommandContext;
  readonly #dryRun: boolean;

  constructor(context: CommandContext, dryRun: boolean) {
    this.#context = context;
    this.#dryRun = dryRun;
  }

  show(event: PruneEvent): void {
    const context = this.#context;
    switch (event.type) {
      case "phase":
        this.#showPhase(event.phase, event.total);
        return;
      case "plan":
        this.#showPlan(event.plan);
        return;
      case "removed":
        context.verbose(3, `removed ${event.file}/${formatId(event.id)}`);
        return;
      case "not-removed":
        this.#context.problem(
          `unable to remove ${event.file}/${formatId(event.id)} from the repository: ${event.error.message}`,
        );
        return;
      case "leftovers":
        context.print(
          `removed ${event.files} unfinished files of interrupted programs (${formatBytes(event.bytes)})`,
        );
    }
  }

  /** Says more about why nothing was done, before the error itself is shown. */
  explain(error: unknown): void {
    if (error instanceof MissingBlobsError) {
      for (const { type, id } of error.blobs.slice(0, SHOWN_MISSING))
        this.#context.problem(`${type} blob ${formatId(id)} not found in the index`);
      if (error.blobs.length > SHOWN_MISSING)
        this.#context.problem(`and ${error.blobs.length - SHOWN_MISSING} more blobs`);
      this.#context.problem(
        "\nIntegrity check failed: Data seems to be missing.\nWill not start prune to prevent (additional) data loss!\n",
      );
    } else if (error instanceof MissingPacksError) {
      this.#context.problem(
        `The index references ${error.packs.length} needed pack files which are missing from the repository:`,
      );
      for (const id of error.packs) this.#context.problem(`  ${formatId(id)}`);
    } else if (error instanceof PackSizeError) {
      this.#context.problem(
        `pack ${formatId(error.packId)}: calculated size ${error.expected} does not match real size ${error.found}`,
      );
    }
  }

  finish(result: PruneResult): void {
    if (this.#context.global.json) this.#context.json(summaryJson(result, this.#dryRun));
    else if (!this.#dryRun) this.#context.print("done");
  }

  #showPhase(phase: PruneProgress["phase"], total: number): void {
    const print = (text: string) => this.#context.print(text);
    if (phase === "snapshots") {
      print("loading all snapshots...");
      print(`finding data that is still in use for ${total} snapshots`);
    }
    if (phase === "packs") {
      print("searching used packs...");
      print("collecting packs for deletion and repacking");
    }
    if (phase === "remove-unreferenced") print("deleting unreferenced packs");
    if (phase === "repack") print("repacking packs");
    if (phase === "rewrite-index") print("rebuilding index");
    if (phase === "remove-packs") print(`removing ${total} old packs`);
  }

  #showPlan(plan: PrunePlan): void {
    const context = this.#context;
    if (plan.missingPacks.length > 0) {
      this.#context.problem("Missing but unneeded pack files are referenced in the index, will be repaired");
      for (const id of plan.missingPacks)
        this.#context.problem(`will forget missing pack file ${formatId(id)}`);
    }
    for (const id of plan.unreferencedPacks)
      context.verbose(2, `will remove pack ${formatShortId(id)} as it is unused and not indexed`);
    if (this.#dryRun) context.print("\nWould have made the following changes:");
    for (const { level, text } of statisticsLines(plan.statistics)) context.verbose(level, text);
    if (this.#dryRun) this.#showDryRun(plan);
  }

  #showDryRun(plan: PrunePlan): void {
    const context = this.#context;
    const list = (title: string, ids: readonly Id[]) =>
      context.verbose(2, `Would have ${title}:\n{${ids.map(formatShortId).join(" ")}}\n`);
    if (plan.unreferencedPacks.length > 0)
      list("removed the following unreferenced packs", plan.unreferencedPacks);
    list("repacked and removed the following packs", plan.repackPacks);
    list("removed the following no longer used packs", plan.removePacks);
  }
}

interface Line {
  readonly level: 1 | 2;
  readonly text: string;
}

/** What the numbers add up to. */
function totalsOf({ blobs, bytes, packs }: PruneStatistics) {
  const unusedBytes = bytes.duplicate + bytes.unused;
  const totalBytes = bytes.used + unusedBytes + bytes.unreferenced;
  const totalBlobs = blobs.used + blobs.unused + blobs.duplicate;
  const removedBlobs = blobs.remove + blobs.repackRemove;
  const removedBytes = bytes.remove + bytes.repackRemove + bytes.unreferenced;
  return {
    unusedBytes,
    totalBytes,
    totalBlobs,
    removedBlobs,
    removedBytes,
    remainingBlobs: totalBlobs - removedBlobs,
    remainingBytes: totalBytes - removedBytes,
    remainingUnusedBytes: unusedBytes - bytes.remove - bytes.repackRemove,
    totalPacks: packs.used + packs.partlyUsed + packs.unused + packs.unreferenced,
  };
}

function statisticsLines(statistics: PruneStatistics): Line[] {
  const { blobs, bytes, packs } = statistics;
  const totals = totalsOf(statistics);
  const lines: Line[] = [];
  const add = (level: 1 | 2, text = "") => lines.push({ level, text });
  const amount = (level: 1 | 2, title: string, count: number, size: number) =>
    add(level, `${title.padEnd(13)} ${String(count).padStart(10)} blobs / ${formatBytes(size)}`);
  const files = (title: string, count: number, what = "") =>
    add(2, `${title} ${String(count).padStart(10)}${what}`);
  add(2);
  amount(2, "used:", blobs.used, bytes.used);
  if (blobs.duplicate > 0) amount(2, "duplicates:", blobs.duplicate, bytes.duplicate);
  amount(2, "unused:", blobs.unused, bytes.unused);
  if (bytes.unreferenced > 0) add(2, `unreferenced:                    ${formatBytes(bytes.unreferenced)}`);
  amount(2, "total:", totals.totalBlobs, totals.totalBytes);
  add(2, `unused size: ${formatPercent(totals.unusedBytes, totals.totalBytes)} of total size`);
  add(1);
  amount(1, "to repack:", blobs.repack, bytes.repack);
  amount(1, "this removes:", blobs.repackRemove, bytes.repackRemove);
  amount(1, "to delete:", blobs.remove, bytes.remove + bytes.unreferenced);
  amount(1, "total prune:", totals.removedBlobs, totals.removedBytes);
  if (bytes.uncompressed > 0) add(1, `not yet compressed:              ${formatBytes(bytes.uncompressed)}`);
  amount(1, "remaining:", totals.remainingBlobs, totals.remainingBytes);
  const share = formatPercent(totals.remainingUnusedBytes, totals.remainingBytes);
  add(1, `unused size after prune: ${formatBytes(totals.remainingUnusedBytes)} (${share} of remaining size)`);
  add(1);
  files("totally used packs:", packs.used);
  files("partly used packs: ", packs.partlyUsed);
  files("unused packs:      ", packs.unused);
  add(2);
  files("to keep:     ", packs.keep, " packs");
  files("to repack:   ", packs.repack, " packs");
  files("to delete:   ", packs.remove, " packs");
  if (packs.unreferenced > 0) {
    files("to delete:   ", packs.unreferenced, " unreferenced packs");
    add(2);
  }
  return lines;
}

/** The shape of restic's next version; `dry_run` and `not_removed` are ours. */
export function summaryJson({ statistics, notRemoved }: PruneResult, dryRun: boolean): unknown {
  const { blobs, bytes, packs } = statistics;
  const totals = totalsOf(statistics);
  return {
    message_type: "summary",
    ...(dryRun ? { dry_run: true } : {}),
    blobs: {
      used: blobs.used,
      duplicate: blobs.duplicate,
      unused: blobs.unused,
      total: totals.totalBlobs,
      repack: blobs.repack,
      repack_remove: blobs.repackRemove,
      remove: blobs.remove,
      remove_total: totals.removedBlobs,
      remaining: totals.remainingBlobs,
    },
    bytes: {
      used: bytes.used,
      duplicate: bytes.duplicate,
      unused: bytes.unused,
      unreferenced: bytes.unreferenced,
      uncompressed: bytes.uncompressed,
      total: totals.totalBytes,
      repack: bytes.repack,
      repack_remove: bytes.repackRemove,
      remove: bytes.remove,
      remove_total: totals.removedBytes,
      remaining: totals.remainingBytes,
      remaining_unused: totals.remainingUnusedBytes,
    },
    packfiles: {
      used: packs.used,
      unused: packs.unused,
      partly_used: packs.partlyUsed,
      unreferenced: packs.unreferenced,
      total: totals.totalPacks,
      keep: packs.keep,
      repack: packs.repack,
      remove: packs.remove,
      remove_total: packs.remove + packs.repack + packs.unreferenced,
    },
    not_removed: notRemoved,
  };
}

/** What a terminal shows while a prune runs. */
export class PruneProgressView {
  readonly #progress: PruneProgress;
  readonly #view = new PhaseView(() => this.#state());

  constructor(progress: PruneProgress) {
    this.#progress = progress;
  }

  lines(elapsedSeconds: number): readonly string[] {
    return this.#view.lines(elapsedSeconds);
  }

  /** What `--json` prints now and then. */
  status(elapsedSeconds: number): unknown {
    const status = this.#view.status(elapsedSeconds);
    const { bytes, bytesTotal } = this.#progress;
    return status?.phase === "repack" ? { ...status, bytes_done: bytes, total_bytes: bytesTotal } : status;
  }

  #state(): PhaseState | undefined {
    const { phase, done, total, trees, treesTotal, bytes, bytesTotal, index } = this.#progress;
    const state = { phase, done, total };
    switch (phase) {
      case "index":
        return { phase, done: index.loadedFiles, total: index.totalFiles, what: "index files loaded" };
      case "snapshots":
        return { ...state, what: `snapshots, ${trees} trees`, work: { done: trees, total: treesTotal } };
      case "packs":
        return { ...state, what: "packs found" };
      case "repack": {
        const size = `${formatBytes(bytes)} of ${formatBytes(bytesTotal)}`;
        return { ...state, what: `packs repacked, ${size}`, work: { done: bytes, total: bytesTotal } };
      }
      case "rewrite-index":
        return { ...state, what: "index files saved" };
      case "remove-index":
        return { ...state, what: "old index files removed" };
      case "remove-unreferenced":
      case "remove-packs":
        return { ...state, what: "packs removed" };
      case "done":
        return undefined;
    }
  }
}
