import type { Command } from "commander";
import { runRepairIndex } from "../../commands/repair-index.js";
import { newRepairIndexProgress } from "../../mod.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { repairIndexJson, repairIndexState, showRepairIndexEvent } from "../repair-index-report.js";

interface RepairIndexFlags {
  readonly readAllPacks?: boolean;
}

export function registerRepairIndex(repair: Command, io: Io): void {
  repairIndex(repair.command("index"), io);
}

/** What the command was called once. */
export function registerRebuildIndex(program: Command, io: Io): void {
  const command = repairIndex(program.command("rebuild-index", { hidden: true }), io);
  command.hook("preAction", () => {
    io.stderr.line('Command "rebuild-index" is deprecated, Use "repair index" instead');
  });
}

function repairIndex(command: Command, io: Io): Command {
  return command
    .description("make the index say what packs there are, and what is in them")
    .option("--read-all-packs", "believe no index file: read the list of blobs of every pack")
    .action(
      action<RepairIndexFlags>(io, async (context, _args, flags) => {
        const needs = { lock: "exclusive", lockAlways: true } as const;
        const result = await context.withSession(needs, async (session) => {
          const progress = newRepairIndexProgress();
          const view = new PhaseView(() => repairIndexState(progress));
          const renderer = context.startProgress(view.lines, view.status);
          try {
            return await runRepairIndex(
              session,
              { readAllPacks: flags.readAllPacks === true },
              { progress, on: (event) => showRepairIndexEvent(context, event) },
            );
          } finally {
            renderer.stop();
          }
        });
        if (context.global.json) context.json({ message_type: "summary", ...repairIndexJson(result) });
        else context.print("done");
        return undefined;
      }),
    );
}
