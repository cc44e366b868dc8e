import { forEachConcurrently } from "../async/map-concurrently.js";
import type { Id } from "../bytes/id.js";
import { UsageError } from "../errors.js";
import { type SnapshotFilter, saveSnapshot } from "../repository/snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

/** What becomes of the tags of a snapshot: others in their place, or some more and some less. Empty tags count for nothing. */
export interface TagChange {
  readonly set: readonly string[];
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface TagOptions {
  /** Snapshot arguments; all snapshots that pass the filter when empty. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
  readonly change: TagChange;
}

export interface TagWatch {
  readonly onIgnored?: (ignored: IgnoredSnapshot) => void;
  readonly onChanged?: (oldId: Id, newId: Id) => void;
}

/**
 * Changes the tags of snapshots, several at a time and told in their order: each one that changes is saved anew and
 * remembers its first ID as `original`.
 *
 * @returns how many changed
 * @throws {UsageError} if tags are set and also added or removed
 */
export async function runTag(session: Session, options: TagOptions, watch: TagWatch = {}): Promise<number> {
  const { repository, signal } = session;
  const { names, filter, change } = options;
  if (change.set.length > 0 && change.add.length + change.remove.length > 0)
    throw new UsageError("--set and --add/--remove cannot be given at the same time");
  const snapshots = await selectSnapshots(repository, names, filter, { ...watch, signal });
  const changes = snapshots.flatMap((snapshot) => {
    const tags = changedTags(snapshot.tags, change);
    return tags ? [{ snapshot, tags }] : [];
  });
  const newIds: Id[] = [];
  const isDone: boolean[] = [];
  let told = 0;
  await forEachConcurrently(
    changes.entries(),
    repository.backend.connections,
    async ([position, { snapshot, tags }]) => {
      const { id, ...rest } = snapshot;
      // Killed in between, both are there.
      newIds[position] = await saveSnapshot(repository, { ...rest, tags, original: snapshot.original ?? id });
      await repository.removeFile("snapshot", id);
      isDone[position] = true;
      for (; isDone[told]; told++) watch.onChanged?.(changes[told]!.snapshot.id, newIds[told]!);
    },
    signal,
  );
  return changes.length;
}

/** @returns `undefined` when nothing changes; tags that are set are always a change, as in restic */
function changedTags(tags: readonly string[], change: TagChange): string[] | undefined {
  const set = change.set.filter((tag) => tag !== "");
  if (set.length > 0) return set;
  const kept = [...tags];
  for (const tag of change.add) if (tag !== "" && !kept.includes(tag)) kept.push(tag);
  for (const tag of change.remove) if (tag !== "") removeAsRestic(kept, tag);
  const same = kept.length === tags.length && kept.every((tag, position) => tag === tags[position]);
  return same ? undefined : kept;
}

/** The last tag takes the place of one that goes, as with restic, so that both leave the same snapshot. */
function removeAsRestic(tags: string[], tag: string): void {
  for (let at = tags.indexOf(tag); at >= 0; at = tags.indexOf(tag)) {
    const last = tags.pop()!;
    if (at < tags.length) tags[at] = last;
  }
}
