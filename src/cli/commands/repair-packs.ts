import type { Command } from "commander";
import { formatId, type Id, parseId } from "../../bytes/id.js";
import { runRepairPacks } from "../../commands/repair-packs.js";
import { UsageError } from "../../errors.js";
import type { RepairPacksEvent } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";

export function registerRepairPacks(repair: Command, io: Io): void {
  repair
    .command("packs")
    .description(
      "take damaged packs apart: what is good in them moves to new ones; copies are left in this folder",
    )
    .argument("[packID...]", "whole IDs, as `check` tells them")
    .action(
      action(io, async (context, args) => {
        const packIds = parsePackIds(args);
        const progress = { packs: 0, packsTotal: 0 };
        const needs = { lock: "exclusive", lockAlways: true, ahead: { index: "again" } } as const;
        const result = await context.withSession(needs, async (session) => {
          const view = new PhaseView(() => ({
            phase: "salvage",
            done: progress.packs,
            total: progress.packsTotal,
            what: "packs",
          }));
          const renderer = context.startProgress(view.lines, view.status);
          try {
            context.print("saving backup copies of pack files to current folder");
            return await runRepairPacks(
              session,
              { packIds, copiesFolder: "." },
              { progress, on: (event) => show(context, event) },
            );
          } finally {
            renderer.stop();
          }
        });
        if (context.global.json)
          context.json({
            message_type: "summary",
            packs: result.packs,
            salvaged_blobs: result.salvagedBlobs,
            lost_blobs: result.lostBlobs,
          });
        else
          context.warn(
            "\nUse `yore repair snapshots --forget` to remove the corrupted data blobs from all snapshots",
          );
        return undefined;
      }),
    );
}

/** @throws {UsageError} */
function parsePackIds(args: readonly string[]): Id[] {
  if (args.length === 0) throw new UsageError("no ids specified");
  const ids = new Map<string, Id>();
  for (const text of args) {
    const id = parseId(text);
    if (!id) throw new UsageError(`invalid pack ID "${text}": wanted 64 hex digits`);
    ids.set(text, id);
  }
  return [...ids.values()];
}

function show(context: CommandContext, event: RepairPacksEvent): void {
  switch (event.type) {
    case "phase":
      if (event.phase === "salvage") context.print("salvaging intact data from specified pack files");
      if (event.phase === "index") context.print("rebuilding index");
      if (event.phase === "remove") context.print("removing salvaged pack files");
      return;
    case "empty":
      context.problem(`no blobs found for pack ${formatId(event.packId)}`);
      return;
    case "lost":
      context.problem(`failed to load blob ${formatId(event.blob.id)}: ${event.error.message}`);
      return;
    case "not-removed":
      context.problem(`unable to remove pack/${formatId(event.packId)}: ${event.error.message}`);
  }
}
