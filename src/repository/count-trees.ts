import type { Snapshot } from "../format/snapshot.js";
import type { Repository } from "./repository.js";

/**
 * The most trees that a walk over snapshots can meet, each once: no more than the index has, and no more than the
 * snapshots say that they have directories. Walks over the index, which must be loaded: for once a command.
 */
export function countTrees(
  { index }: Repository,
  snapshots: readonly Pick<Snapshot, "summary" | "paths">[],
): number {
  let inIndex = 0;
  for (let entry = 0; entry < index.entryEnd; entry++)
    if (index.typeOf(entry) === "tree" && index.isLive(entry)) inIndex++;
  let inSnapshots = 0;
  for (const { summary, paths } of snapshots) {
    if (!summary) return inIndex;
    // The root, and the folders that lead to what was backed up, are not among those counted.
    const above = paths.reduce((sum, path) => sum + path.split("/").length, 1);
    inSnapshots += summary.dirsNew + summary.dirsChanged + summary.dirsUnmodified + above;
  }
  return Math.min(inIndex, inSnapshots);
}
