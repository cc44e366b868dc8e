import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { WRITING } from "../../commands/ask-ahead.js";
import { runRecover } from "../../commands/recover.js";
import { newRepairIndexProgress, type RecoverEvent, type RecoverResult } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { repairIndexState, showRepairIndexEvent } from "../repair-index-report.js";

export function registerRecover(program: Command, io: Io): void {
  program
    .command("recover")
    .description("make a snapshot of all directories that no snapshot leads to")
    .action(
      action(io, async (context) => {
        const needs = { lock: "exclusive", lockAlways: true, ahead: WRITING } as const;
        const result = await context.withSession(needs, async (session) => {
          const indexProgress = newRepairIndexProgress();
          const progress = { trees: 0, treesTotal: 0 };
          const view = new PhaseView(() => {
            const { trees, treesTotal } = progress;
            if (treesTotal === 0) return repairIndexState(indexProgress);
            return { phase: "trees", done: trees, total: treesTotal, what: "trees loaded" };
          });
          const renderer = context.startProgress(view.lines, view.status);
          try {
            context.print("ensuring index is complete");
            return await runRecover(session, {
              progress,
              indexProgress,
              onIndex: (event) => showRepairIndexEvent(context, event),
              onIndexRepaired: () => context.print("load index files"),
              on: (event) => show(context, event),
            });
          } finally {
            renderer.stop();
          }
        });
        finish(context, result);
        return undefined;
      }),
    );
}

function show(context: CommandContext, event: RecoverEvent): void {
  switch (event.type) {
    case "trees":
      context.print(`load ${event.count} trees`);
      return;
    case "unreadable-tree":
      context.problem(`unable to load tree ${formatShortId(event.id)}: ${event.error.message}`);
      return;
    case "unreadable-snapshot":
      context.problem(`unable to load snapshot ${formatShortId(event.id)}: ${event.error.message}`);
      return;
    case "snapshots":
      context.print("load snapshots");
      return;
    case "root":
      context.verbose(2, `found root tree ${formatShortId(event.id)}`);
  }
}

function finish(context: CommandContext, { roots, snapshot }: RecoverResult): void {
  if (context.global.json) {
    context.json({
      message_type: "summary",
      roots: roots.map(formatId),
      snapshot_id: snapshot && formatId(snapshot),
    });
    return;
  }
  context.print("done");
  // Shown even with --quiet, as restic does.
  context.io.stdout.line(`\nfound ${roots.length} unreferenced roots`);
  if (snapshot) context.io.stdout.line(`saved new snapshot ${formatShortId(snapshot)}`);
  else context.print("no snapshot to write.");
}
