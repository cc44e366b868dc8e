import { type CopyResult, type CopyWatch, copySnapshots } from "../maintenance/copy-snapshots.js";
import { requireWholeIndex } from "../maintenance/whole-index.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

export interface CopyOptions {
  /** IDs, beginnings of IDs, or "latest"; empty for all that pass the filter. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
}

/** Copies snapshots from the repository of one session, which reads, to that of another, which adds. */
export async function runCopy(
  source: Session,
  target: Session,
  { names, filter }: CopyOptions,
  watch: Omit<CopyWatch, "signal"> & { readonly onIgnored?: (ignored: IgnoredSnapshot) => void } = {},
): Promise<CopyResult> {
  const signal = AbortSignal.any([source.signal, target.signal]);
  const { onIgnored } = watch;
  const chosen = { signal, ...(onIgnored ? { onIgnored } : {}) };
  // One that cannot be read is told: its source may be copied again.
  const present = await selectSnapshots(target.repository, [], filter, chosen);
  const snapshots = await selectSnapshots(source.repository, names, filter, chosen);
  await source.loadIndex();
  await target.repository.loadIndex({ signal });
  // What a damaged index file of the target knows would be copied again.
  requireWholeIndex(target.repository);
  return copySnapshots(source.repository, target.repository, snapshots, present, { ...watch, signal });
}
