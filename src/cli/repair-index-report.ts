import { formatId } from "../bytes/id.js";
import type { RepairIndexEvent, RepairIndexProgress, RepairIndexResult } from "../mod.js";
import type { CommandContext } from "./command-context.js";
import type { PhaseState } from "./phase-progress.js";

/** What a repair of the index says, in restic's words; also when `recover` repairs it first. */
export function showRepairIndexEvent(context: CommandContext, event: RepairIndexEvent): void {
  switch (event.type) {
    case "phase":
      if (event.phase === "index") context.print("loading indexes...");
      if (event.phase === "packs") context.print("getting pack files to read...");
      if (event.phase === "read") context.print("reading pack files");
      if (event.phase === "save") context.print("rebuilding index");
      return;
    case "damaged-index":
      context.problem(`removing invalid index ${formatId(event.id)}: ${event.error.message}`);
      return;
    case "adding":
      context.problem(`adding pack file to index ${formatId(event.packId)}`);
      return;
    case "reindexing":
      context.problem(
        `reindexing pack file ${formatId(event.packId)} with unexpected size ${event.found} instead of ${event.expected}`,
      );
      return;
    case "missing":
      context.problem(`removing not found pack file ${formatId(event.packId)}`);
      return;
    case "unreadable":
      context.problem(`skipped incomplete pack file: ${formatId(event.packId)}: ${event.error.message}`);
      return;
    case "removed":
      context.verbose(3, `removed index ${formatId(event.id)}`);
  }
}

export function repairIndexState(progress: RepairIndexProgress): PhaseState | undefined {
  const { phase, index, done, total } = progress;
  switch (phase) {
    case "index":
      return { phase, done: index.loadedFiles, total: index.totalFiles, what: "index files loaded" };
    case "packs":
      return { phase, done, total: 0, what: "packs found" };
    case "read":
      return { phase, done, total, what: "packs" };
    case "remove":
      return { phase, done, total, what: "old index files removed" };
    default:
      return undefined;
  }
}

export function repairIndexJson(result: RepairIndexResult): Record<string, unknown> {
  return {
    damaged_indexes: result.damagedIndexes,
    added_packs: result.addedPacks,
    reindexed_packs: result.reindexedPacks,
    missing_packs: result.missingPacks,
    unreadable_packs: result.unreadablePacks,
    saved_indexes: result.savedIndexes,
    removed_indexes: result.removedIndexes,
  };
}
