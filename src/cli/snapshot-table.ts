import { formatShortId } from "../bytes/id.js";
import { compareBytes, type SnapshotGroup } from "../commands/group-snapshots.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { formatLocalTime } from "../format/timestamp.js";
import { type Column, renderTable } from "./table.js";
import { formatBytes } from "./units.js";

/** What a group has in common; nothing when that is nothing. */
export function groupHeader(
  { host, paths, tags }: Pick<SnapshotGroup, "host" | "paths" | "tags">,
  text: (raw: string) => string,
): string[] {
  const parts = [
    ...(host ? [`host [${host}]`] : []),
    ...(tags?.length ? [`tags [${tags.join(", ")}]`] : []),
    ...(paths?.length ? [`paths [${paths.join(", ")}]`] : []),
  ];
  return parts.length > 0 ? [`snapshots for (${text(parts.join(", "))}):`] : [];
}

export interface SnapshotTableOptions {
  readonly compact: boolean;
  /** Hosts, tags and paths come from whoever made the snapshot; this makes them harmless for a terminal. */
  readonly text: (raw: string) => string;
  /** What the zone of the times is called. */
  readonly zone: string;
  /** Why each snapshot is in the table, for a column of its own; not in a compact one. */
  readonly reasons?: ReadonlyMap<LoadedSnapshot, readonly string[]>;
}

/** The table of snapshots; also what `forget` shows. */
export function renderSnapshots(
  snapshots: readonly LoadedSnapshot[],
  { compact, text, zone, reasons: given }: SnapshotTableOptions,
): string[] {
  const reasons = compact ? undefined : given;
  if (snapshots.length === 0) return [];
  const withSizes = snapshots.some((snapshot) => snapshot.summary);
  const columns: Column[] = [
    { header: "ID" },
    { header: "Time" },
    // The spaces keep narrow columns from being cramped; restic's tables have them, too.
    { header: compact ? "Host" : "Host      " },
    { header: compact ? "Tags  " : "Tags      " },
    ...(reasons ? [{ header: "Reasons" }] : []),
    ...(compact ? [] : [{ header: "Paths" }]),
    ...(withSizes ? [{ header: "Size" }] : []),
  ];
  const rows = snapshots.map((snapshot) => [
    formatShortId(snapshot.id),
    formatLocalTime(snapshot.time),
    text(snapshot.hostname),
    snapshot.tags.map(text).join(compact ? "\n" : ","),
    ...(reasons ? [(reasons.get(snapshot) ?? []).map(text).join("\n")] : []),
    ...(compact ? [] : [[...snapshot.paths].sort(compareBytes).map(text).join("\n")]),
    ...(withSizes ? [snapshot.summary ? formatBytes(snapshot.summary.totalBytesProcessed) : ""] : []),
  ]);
  const spaced = !compact && snapshots.some((snapshot) => snapshot.paths.length > 1);
  return renderTable(columns, rows, {
    spaced,
    footer: [`Timestamps shown in ${zone}`, `${snapshots.length} snapshots`],
  });
}
