import type { Command } from "commander";
import { listMigrations, type MigrateEvent, runMigrate } from "../../commands/migrate.js";
import { messageOf, YoreError } from "../../errors.js";
import { newCheckProgress } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { CheckView, checkState } from "./check.js";

interface MigrateFlags {
  readonly force?: boolean;
}

export function registerMigrate(program: Command, io: Io): void {
  program
    .command("migrate")
    .description("bring the repository to a newer format; without a name, list what can be done")
    .argument("[migration...]", "upgrade_repo_v2")
    .option("-f, --force", "apply a migration even if it seems to be applied already")
    .action(
      action<MigrateFlags>(io, async (context, names, flags) => {
        const needs = { lock: "exclusive", lockAlways: true } as const;
        await context.withSession(needs, async (session) => {
          if (names.length === 0) {
            list(context, listMigrations(session));
            return;
          }
          const progress = newCheckProgress();
          const renderer = context.startProgress(new PhaseView(() => checkState(progress)).lines);
          const view = new CheckView(context, undefined);
          try {
            await runMigrate(
              session,
              { names, force: flags.force === true },
              {
                progress,
                on: (event) => show(context, view, event),
                onCheck: (event) => view.show(event),
              },
            );
          } finally {
            renderer.stop();
          }
        });
        return undefined;
      }),
    );
}

function list(
  context: CommandContext,
  migrations: readonly { readonly name: string; readonly description: string }[],
): void {
  if (context.global.json) {
    context.json({ message_type: "migrations", migrations });
    return;
  }
  context.io.stdout.line("available migrations:");
  for (const { name, description } of migrations) context.io.stdout.line(`  ${name}\t${description}`);
  if (migrations.length === 0) context.io.stdout.line("no migrations found");
}

/** @throws {YoreError} if the check found something */
function show(context: CommandContext, view: CheckView, event: MigrateEvent): void {
  switch (event.type) {
    case "checking":
      context.print("checking repository integrity...");
      return;
    case "checked":
      if (!context.global.json) view.finish(event.summary);
      else if (event.summary.errors > 0) throw new YoreError("damaged", "repository contains errors");
      return;
    case "applying":
      context.print(`applying migration ${event.name}...`);
      return;
    case "applied":
      context.print(`migration ${event.name}: success`);
      if (context.global.json) context.json({ message_type: "applied", migration: event.name });
      return;
    case "refused":
      if (event.forced) {
        context.problem(`check for migration ${event.name} failed, continuing anyway`);
        return;
      }
      context.problem(`migration ${event.name} cannot be applied: ${event.reason}`);
      context.problem("If you want to apply this migration anyway, re-run with option --force");
      return;
    case "failed":
      context.problem(`migration ${event.name} failed: ${messageOf(event.error)}`);
  }
}
