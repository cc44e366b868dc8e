import type { Command } from "commander";
import { formatShortId } from "../../bytes/id.js";
import { compareBytes, type GroupBy, NO_GROUPS, type SnapshotGroup } from "../../commands/group-snapshots.js";
import { runSnapshots } from "../../commands/snapshots.js";
import { goJsonValue } from "../../format/go-json.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import { action } from "../command-context.js";
import { parseCount } from "../global-options.js";
import { parseGroupBy } from "../group-by.js";
import type { Io } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotJson } from "../snapshot-json.js";
import { type Column, renderTable } from "../table.js";
import { terminalText } from "../terminal-text.js";
import { formatLocalTime, localZoneTitle } from "../times.js";
import { formatBytes } from "../units.js";

interface SnapshotsFlags extends SnapshotFilterFlags {
  readonly compact?: boolean;
  readonly groupBy?: GroupBy;
  readonly latest?: number;
}

export function registerSnapshots(program: Command, io: Io): void {
  const command = program
    .command("snapshots")
    .description("list the snapshots of the repository")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out')
    .option("-c, --compact", "use a compact output format")
    .option("-g, --group-by <group>", "group by host, paths and/or tags, separated by comma", parseGroupBy)
    .option("--latest <n>", "only the newest n of each group, or of each host and paths", (text: string) =>
      parseCount("--latest", text),
    );
  addSnapshotFilter(command);
  command.action(
    action<SnapshotsFlags>(io, async (context, names, flags) => {
      const groupBy = flags.groupBy ?? NO_GROUPS;
      const filter = resolveSnapshotFilter(flags, io.env);
      const groups = await context.withSession({ lock: "shared" }, (session) =>
        runSnapshots(
          session,
          { names, filter, groupBy, latest: flags.latest ?? 0 },
          { onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`) },
        ),
      );
      const grouped = groupBy !== NO_GROUPS && Object.values(groupBy).includes(true);
      if (context.global.json) io.stdout.line(grouped ? groupsJson(groups) : listJson(groups));
      else {
        const text = io.stdout.isTTY ? terminalText : (raw: string) => raw;
        const tableOptions = { compact: flags.compact === true, text, zone: localZoneTitle(io.env) };
        for (const group of groups) {
          const header = grouped ? groupHeader(group, text) : [];
          for (const line of [...header, ...renderSnapshots(group.snapshots, tableOptions)])
            io.stdout.line(line);
        }
      }
      return undefined;
    }),
  );
}

function groupsJson(groups: readonly SnapshotGroup[]): string {
  const texts = groups.map(({ host, paths, tags, snapshots }) => {
    const listOrNull = (list: readonly string[] | undefined) => (list && list.length > 0 ? list : null);
    const key = { hostname: host ?? "", paths: listOrNull(paths), tags: listOrNull(tags) };
    return `{"group_key":${goJsonValue(key)},"snapshots":[${snapshots.map(sortedJson).join(",")}]}`;
  });
  return `[${texts.join(",")}]`;
}

function listJson(groups: readonly SnapshotGroup[]): string {
  return `[${groups.flatMap((group) => group.snapshots.map(sortedJson)).join(",")}]`;
}

function sortedJson(snapshot: LoadedSnapshot): string {
  return snapshotJson({ ...snapshot, paths: [...snapshot.paths].sort(compareBytes) });
}

/** What a group has in common; nothing when that is nothing. */
function groupHeader({ host, paths, tags }: SnapshotGroup, text: (raw: string) => string): string[] {
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
}

/** The table of snapshots; also what `forget` shows. */
export function renderSnapshots(
  snapshots: readonly LoadedSnapshot[],
  { compact, text, zone }: SnapshotTableOptions,
): string[] {
  if (snapshots.length === 0) return [];
  const withSizes = snapshots.some((snapshot) => snapshot.summary);
  const columns: Column[] = [
    { header: "ID" },
    { header: "Time" },
    // The spaces keep narrow columns from being cramped; restic's tables have them, too.
    { header: compact ? "Host" : "Host      " },
    { header: compact ? "Tags  " : "Tags      " },
    ...(compact ? [] : [{ header: "Paths" }]),
    ...(withSizes ? [{ header: "Size" }] : []),
  ];
  const rows = snapshots.map((snapshot) => [
    formatShortId(snapshot.id),
    formatLocalTime(snapshot.time),
    text(snapshot.hostname),
    snapshot.tags.map(text).join(compact ? "\n" : ","),
    ...(compact ? [] : [[...snapshot.paths].sort(compareBytes).map(text).join("\n")]),
    ...(withSizes ? [snapshot.summary ? formatBytes(snapshot.summary.totalBytesProcessed) : ""] : []),
  ]);
  const spaced = !compact && snapshots.some((snapshot) => snapshot.paths.length > 1);
  return renderTable(columns, rows, {
    spaced,
    footer: [`Timestamps shown in ${zone}`, `${snapshots.length} snapshots`],
  });
}
