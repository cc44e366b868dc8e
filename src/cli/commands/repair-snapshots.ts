import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { WRITING } from "../../commands/ask-ahead.js";
import { runRepairSnapshots } from "../../commands/repair-snapshots.js";
import { newRewriteProgress } from "../../commands/rewrite.js";
import { quoteName } from "../../format/name-quoting.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import type { Repair, RepairSnapshotsEvent } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { rewriteView } from "../rewrite-view.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotTitle } from "../snapshot-title.js";
import { terminalText } from "../terminal-text.js";

interface RepairSnapshotsFlags extends SnapshotFilterFlags {
  readonly dryRun?: boolean;
  readonly forget?: boolean;
}

export function registerRepairSnapshots(repair: Command, io: Io): void {
  const command = repair
    .command("snapshots")
    .description("replace snapshots that need what is lost by such as do without it")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out')
    .option("-n, --dry-run", "only say what would be done")
    .option("--forget", "remove the snapshots that are replaced");
  addSnapshotFilter(command);
  command.action(
    action<RepairSnapshotsFlags>(io, async (context, names, flags) => {
      const dryRun = flags.dryRun === true;
      const forget = flags.forget === true;
      const filter = resolveSnapshotFilter(flags, io.env);
      const progress = newRewriteProgress();
      const changed = await context.withSession(
        { lock: dryRun ? "none" : "exclusive", lockAlways: true, ahead: WRITING },
        async (session) => {
          const { lines, status } = rewriteView(progress);
          const renderer = context.startProgress(lines, status);
          try {
            return await runRepairSnapshots(
              session,
              { names, filter, dryRun, forget },
              {
                progress,
                on: (event) => show(context, event, dryRun),
                onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
              },
            );
          } finally {
            renderer.stop();
          }
        },
      );
      if (context.global.json)
        context.json({
          message_type: "summary",
          changed_snapshots: changed,
          ...(dryRun ? { dry_run: true } : {}),
        });
      context.print();
      const verb = dryRun ? "would be modified" : "were modified";
      if (changed === 0) context.print(`no snapshots ${verb}`);
      else context.print(`${dryRun ? "would modify" : "modified"} ${changed} snapshots`);
      return undefined;
    }),
  );
}

function show(context: CommandContext, event: RepairSnapshotsEvent, dryRun: boolean): void {
  switch (event.type) {
    case "snapshot":
      context.print(`\n${terminalText(snapshotTitle(event.snapshot))}`);
      return;
    case "repair":
      context.print(repairLine(event.repair));
      if (context.global.json) context.json(repairJson(event.repair));
      return;
    case "done":
      showOutcome(context, event, dryRun);
  }
}

function repairLine(repair: Repair): string {
  const path = `"/${quoteName(repair.path)}"`;
  switch (repair.kind) {
    case "invalid-node":
      return `  file ${path}: removed node with invalid type "${repair.nodeType}"`;
    case "missing-content":
      return `  file ${path}: removed missing content`;
    case "wrong-size":
      return `  file ${path}: fixed incorrect size`;
    case "emptied-directory":
      return `  dir ${path}: replaced with empty directory`;
    case "lost-root":
      return `  dir ${path}: not readable`;
  }
}

function repairJson({ kind, path }: Repair): unknown {
  return { message_type: "repair", kind: kind.replaceAll("-", "_"), path: `/${path.toString()}` };
}

function showOutcome(
  context: CommandContext,
  { snapshot, outcome }: Extract<RepairSnapshotsEvent, { readonly type: "done" }>,
  dryRun: boolean,
): void {
  const old = formatShortId(snapshot.id);
  if (outcome.kind === "unchanged") return;
  if (context.global.json) {
    context.json(changeJson(snapshot, outcome));
    return;
  }
  if (outcome.kind === "removed") {
    context.print(dryRun ? "would delete empty snapshot" : `removed empty snapshot ${old}`);
    return;
  }
  context.print(outcome.id ? `saved new snapshot ${formatShortId(outcome.id)}` : "would save new snapshot");
  if (outcome.removedOld) context.print(dryRun ? "would remove old snapshot" : `removed old snapshot ${old}`);
}

function changeJson(
  { id }: LoadedSnapshot,
  outcome: Exclude<
    Extract<RepairSnapshotsEvent, { readonly type: "done" }>["outcome"],
    { kind: "unchanged" }
  >,
): unknown {
  if (outcome.kind === "removed") return { message_type: "removed", snapshot_id: formatId(id) };
  return {
    message_type: "changed",
    old_snapshot_id: formatId(id),
    new_snapshot_id: outcome.id && formatId(outcome.id),
    removed_old: outcome.removedOld,
  };
}
