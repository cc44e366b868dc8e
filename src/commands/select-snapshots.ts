import { idKey } from "../bytes/id.js";
import { messageOf, throwIfAborted, UsageError, YoreError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import type { Repository } from "../repository/repository.js";
import {
  findSnapshot,
  listSnapshots,
  parseSnapshotArgument,
  type SnapshotFilter,
} from "../repository/snapshots.js";

/** A snapshot argument, or a snapshot file, that is left out, and why. */
export interface IgnoredSnapshot {
  /** The argument as typed, or the ID of the file. */
  readonly name: string;
  readonly reason: string;
}

/**
 * The snapshots that the arguments of a command name, or without any arguments those that pass the filter; oldest
 * first, each one once. What cannot be found or read is left out and told.
 */
export async function selectSnapshots(
  repository: Repository,
  names: readonly string[],
  filter: SnapshotFilter,
  watch: { readonly signal?: AbortSignal; readonly onIgnored?: (ignored: IgnoredSnapshot) => void } = {},
): Promise<LoadedSnapshot[]> {
  const ignore = (name: string, error: unknown) => watch.onIgnored?.({ name, reason: messageOf(error) });
  if (names.length === 0) {
    return listSnapshots(repository, filter, {
      signal: watch.signal,
      onError: (id, error) => ignore(Buffer.from(id).toString("hex"), error),
    });
  }
  const found = new Map<string, LoadedSnapshot>();
  for (const name of names) {
    throwIfAborted(watch.signal);
    try {
      if (parseSnapshotArgument(name).subfolder !== "" || name.includes(":"))
        throw new UsageError("<snapshot>:<subfolder> syntax not allowed");
      const { snapshot } = await findSnapshot(repository, name, filter, { signal: watch.signal });
      found.set(idKey(snapshot.id), snapshot);
    } catch (error) {
      if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
      ignore(name, error);
    }
  }
  return [...found.values()].sort((a, b) => compareTimestamps(a.time, b.time));
}
