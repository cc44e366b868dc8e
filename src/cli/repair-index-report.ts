import { formatId } from "../bytes/id.js";
import type { RepairIndexEvent, RepairIndexProgress, RepairIndexResult } from "../mod.js";
import type { CommandContext } from "./command-context.js";
import { formatProgress } from "./progress-renderer.js";

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

export function repairIndexLines(progress: RepairIndexProgress, seconds: number): readonly string[] {
  const { phase, index, done, total } = progress;
  switch (phase) {
    case "index":
      return [formatProgress(seconds, index.loadedFiles, index.totalFiles, "index files loaded")];
    case "packs":
      return [formatProgress(seconds, done, 0, "packs found")];
    case "read":
      return [formatProgress(seconds, done, total, "packs")];
    case "remove":
      return [formatProgress(seconds, done, total, "old index files removed")];
    default:
      return [];
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
