import {
  type RepairSnapshotsOptions,
  type RepairSnapshotsWatch,
  repairSnapshots,
} from "../maintenance/repair-snapshots.js";
import { requireWholeIndex } from "../maintenance/whole-index.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

export interface RepairSnapshotsCommandOptions extends RepairSnapshotsOptions {
  /** IDs, beginnings of IDs, or "latest"; empty for all that pass the filter. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
}

/** Repairs snapshots of a session's repository, which should hold the exclusive lock. @returns how many were changed */
export async function runRepairSnapshots(
  session: Session,
  options: RepairSnapshotsCommandOptions,
  watch: RepairSnapshotsWatch & { readonly onIgnored?: (ignored: IgnoredSnapshot) => void } = {},
): Promise<number> {
  const { repository, signal } = session;
  await repository.loadIndex({ signal });
  // What a damaged index file knows would be taken for lost.
  requireWholeIndex(repository);
  const { names, filter, dryRun, forget } = options;
  const { onIgnored } = watch;
  const snapshots = await selectSnapshots(repository, names, filter, {
    signal,
    ...(onIgnored ? { onIgnored } : {}),
  });
  return repairSnapshots(repository, snapshots, { dryRun, forget }, { ...watch, signal });
}
