import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { type GroupBy, groupSnapshots, newestSnapshots, type SnapshotGroup } from "./group-snapshots.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";

export interface SnapshotsOptions {
  /** IDs, beginnings of IDs, `latest`; all that pass the filter when empty. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
  readonly groupBy: GroupBy;
  /** Only so many of the newest: of each group, or of each host and paths when there are no groups. 0 for all. */
  readonly latest: number;
}

/** Lists snapshots, in one group when there is nothing to group by. Within a group the oldest comes first. */
export async function runSnapshots(
  session: Session,
  options: SnapshotsOptions,
  watch: { readonly onIgnored?: (ignored: IgnoredSnapshot) => void } = {},
): Promise<SnapshotGroup[]> {
  const { names, filter, groupBy, latest } = options;
  const all = await selectSnapshots(session.repository, names, filter, { signal: session.signal, ...watch });
  const grouped = groupBy.host || groupBy.paths || groupBy.tags;
  const groups = groupSnapshots(grouped || latest === 0 ? all : latestOfEach(all, latest), groupBy);
  if (!grouped || latest === 0) return groups;
  return groups.map((group) => ({ ...group, snapshots: newestSnapshots(group.snapshots, latest) }));
}

function latestOfEach(snapshots: readonly LoadedSnapshot[], latest: number): LoadedSnapshot[] {
  return groupSnapshots(snapshots, { host: true, paths: true, tags: false })
    .flatMap((group) => newestSnapshots(group.snapshots, latest))
    .sort((a, b) => compareTimestamps(a.time, b.time));
}
