import type { Command } from "commander";
import { compareBytes, type GroupBy, NO_GROUPS, type SnapshotGroup } from "../../commands/group-snapshots.js";
import { runSnapshots } from "../../commands/snapshots.js";
import { goJsonValue } from "../../format/go-json.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import { action } from "../command-context.js";
import { addDeprecatedOption } from "../deprecated-option.js";
import { parseCount } from "../global-options.js";
import { parseGroupBy } from "../group-by.js";
import type { Io } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotJson } from "../snapshot-json.js";
import { groupHeader, renderSnapshots } from "../snapshot-table.js";
import { terminalText } from "../terminal-text.js";
import { localZoneTitle } from "../times.js";

interface SnapshotsFlags extends SnapshotFilterFlags {
  readonly compact?: boolean;
  readonly groupBy?: GroupBy;
  readonly latest?: number;
  readonly last?: boolean;
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
  addDeprecatedOption(command, io, { flags: "--last", instead: "use --latest 1" });
  command.action(
    action<SnapshotsFlags>(io, async (context, names, flags) => {
      const groupBy = flags.groupBy ?? NO_GROUPS;
      const filter = resolveSnapshotFilter(flags, io.env);
      const latest = flags.latest || (flags.last ? 1 : 0);
      const groups = await context.withSession({ lock: "shared", ahead: { snapshots: "as-is" } }, (session) =>
        runSnapshots(
          session,
          { names, filter, groupBy, latest },
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
