import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";

/** What the snapshots of one group have in common. */
export interface GroupBy {
  readonly host: boolean;
  readonly paths: boolean;
  readonly tags: boolean;
}

export const NO_GROUPS: GroupBy = { host: false, paths: false, tags: false };

export interface SnapshotGroup {
  /** `undefined` for what the groups are not made by. */
  readonly host: string | undefined;
  readonly paths: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
  /** In the order in which they were given. */
  readonly snapshots: readonly LoadedSnapshot[];
}

/** Sorts snapshots into groups; a group stands where its first snapshot stood. Without criteria there is one group. */
export function groupSnapshots(snapshots: readonly LoadedSnapshot[], by: GroupBy): SnapshotGroup[] {
  const groups = new Map<string, SnapshotGroup & { snapshots: LoadedSnapshot[] }>();
  for (const snapshot of snapshots) {
    const host = by.host ? snapshot.hostname : undefined;
    const paths = by.paths ? [...snapshot.paths].sort(compareBytes) : undefined;
    const tags = by.tags ? [...snapshot.tags].sort(compareBytes) : undefined;
    const key = JSON.stringify([host, paths, tags]);
    let group = groups.get(key);
    if (!group) {
      group = { host, paths, tags, snapshots: [] };
      groups.set(key, group);
    }
    group.snapshots.push(snapshot);
  }
  return [...groups.values()];
}

/** The newest `count` snapshots, oldest first. */
export function newestSnapshots(snapshots: readonly LoadedSnapshot[], count: number): LoadedSnapshot[] {
  return [...snapshots].sort((a, b) => compareTimestamps(a.time, b.time)).slice(-count);
}

/** The order of Go's strings: by their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
