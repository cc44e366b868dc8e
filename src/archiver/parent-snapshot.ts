import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps, type Timestamp } from "../format/timestamp.js";
import type { Repository } from "../repository/repository.js";
import { findSnapshot, listSnapshots } from "../repository/snapshots.js";

/** What snapshots must have in common with the new one to be its parent. */
export interface ParentGroup {
  readonly host: boolean;
  readonly paths: boolean;
  readonly tags: boolean;
}

/** How the parent is chosen: the newest of the group, the one that is named, or none. */
export type ParentChoice =
  | { readonly groupBy: ParentGroup }
  | { readonly snapshot: string; readonly groupBy: ParentGroup }
  | undefined;

export interface NewSnapshotTraits {
  readonly time: Timestamp;
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
}

/**
 * Finds the snapshot that spares reading what has not changed since: the newest that is not newer than the
 * new one.
 *
 * @throws {NotFoundError} only if a snapshot was named and does not exist
 */
export async function findParentSnapshot(
  repository: Repository,
  choice: ParentChoice,
  traits: NewSnapshotTraits,
  signal: AbortSignal | undefined,
): Promise<LoadedSnapshot | undefined> {
  if (!choice) return undefined;
  const { groupBy } = choice;
  const filter = {
    hosts: groupBy.host ? [traits.host] : [],
    paths: groupBy.paths ? traits.paths : [],
    tags: groupBy.tags ? [traits.tags] : [],
  };
  if ("snapshot" in choice && choice.snapshot !== "latest")
    return (await findSnapshot(repository, choice.snapshot, filter, { signal })).snapshot;
  // A snapshot file that cannot be read is no reason not to make a new one.
  const candidates = await listSnapshots(repository, filter, { signal, onError: () => {} });
  const parent = candidates.filter(({ time }) => compareTimestamps(time, traits.time) <= 0).at(-1);
  if (!parent && "snapshot" in choice) await findSnapshot(repository, choice.snapshot, filter, { signal });
  return parent;
}
