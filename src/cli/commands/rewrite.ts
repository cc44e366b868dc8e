import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { WRITING } from "../../commands/ask-ahead.js";
import {
  checkRewriteOptions,
  newRewriteProgress,
  type RewriteEvent,
  type RewriteOptions,
  runRewrite,
} from "../../commands/rewrite.js";
import { UsageError } from "../../errors.js";
import { action, type CommandContext } from "../command-context.js";
import type { Io } from "../output.js";
import { addPatternFlags, type PatternFlags, resolvePatternFlags } from "../pattern-options.js";
import { rewriteView } from "../rewrite-view.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { terminalName, terminalText } from "../terminal-text.js";
import { formatZonedTime, parseLocalTime } from "../times.js";

interface RewriteFlags extends SnapshotFilterFlags, PatternFlags<"exclude" | "include"> {
  readonly forget?: boolean;
  readonly dryRun?: boolean;
  readonly newHost?: string;
  readonly newTime?: string;
  readonly snapshotSummary?: boolean;
}

export function registerRewrite(program: Command, io: Io): void {
  const command = program
    .command("rewrite")
    .description("make new snapshots of old ones, without some files or with other metadata")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out')
    .option("--forget", "remove the old snapshots")
    .option("-n, --dry-run", "only say what would be done")
    .option("--new-host <host>", "put another host in the place of the old one")
    .option("--new-time <time>", 'put another time in the place of the old one, like "2012-11-01 22:08:41"')
    .option("-s, --snapshot-summary", "count files and bytes in snapshots that have no summary");
  addSnapshotFilter(command);
  addPatternFlags(command, "exclude");
  addPatternFlags(command, "include");
  command.action(
    action<RewriteFlags>(io, async (context, names, flags) => {
      const options = await resolveOptions(flags, io);
      checkRewriteOptions(options);
      const { dryRun, forget } = options;
      if (forget) context.print("create exclusive lock for repository");
      const lock = dryRun ? "none" : forget ? "exclusive" : "shared";
      const changed = await context.withSession({ lock, lockAlways: true, ahead: WRITING }, (session) => {
        const progress = newRewriteProgress();
        const { lines, status } = rewriteView(progress);
        const renderer = context.startProgress(lines, status);
        return runRewrite(
          session,
          { ...options, names, filter: resolveSnapshotFilter(flags, io.env) },
          {
            progress,
            on: (event) => show(context, options, event),
            onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
          },
        ).finally(() => renderer.stop());
      });
      if (context.global.json)
        context.json({ message_type: "summary", changed_snapshots: changed, dry_run: dryRun || undefined });
      context.print();
      const verb = dryRun ? "would be modified" : "were modified";
      if (changed === 0) context.print(`no snapshots ${verb}`);
      else context.print(dryRun ? `would modify ${changed} snapshots` : `modified ${changed} snapshots`);
      return undefined;
    }),
  );
}

async function resolveOptions(flags: RewriteFlags, io: Io): Promise<RewriteOptions> {
  const newTime = flags.newTime ? parseLocalTime(flags.newTime) : undefined;
  if (flags.newTime && !newTime)
    throw new UsageError(`error in time option: "${flags.newTime}" is no time like "2012-11-01 22:08:41"`);
  return {
    excludes: await resolvePatternFlags("exclude", flags, io.env, true),
    includes: await resolvePatternFlags("include", flags, io.env, true),
    forget: flags.forget === true,
    dryRun: flags.dryRun === true,
    newHost: flags.newHost || undefined,
    newTime,
    countFiles: flags.snapshotSummary === true,
  };
}

function show(context: CommandContext, options: RewriteOptions, event: RewriteEvent): void {
  const text = context.io.stdout.isTTY ? terminalText : (raw: string) => raw;
  switch (event.type) {
    case "snapshot": {
      const { id, paths, time, username, hostname } = event.snapshot;
      context.print();
      const what = `${formatShortId(id)} of [${paths.join(" ")}] at ${formatZonedTime(time)}`;
      context.print(text(`snapshot ${what} by ${username}@${hostname}`));
      return;
    }
    case "path":
      context.verbose(3, `${event.isIncluded ? "including" : "excluding"} "${terminalName(event.path)}"`);
      return;
    case "done":
      showOutcome(context, options, event);
  }
}

function showOutcome(
  context: CommandContext,
  { dryRun, newTime, newHost }: RewriteOptions,
  { snapshot, outcome }: Extract<RewriteEvent, { type: "done" }>,
): void {
  if (outcome.kind !== "replaced") return;
  if (context.global.json) {
    context.json({
      message_type: "changed",
      old_snapshot_id: formatId(snapshot.id),
      new_snapshot_id: outcome.id && formatId(outcome.id),
      removed_old: outcome.removedOld,
    });
    return;
  }
  const time = newTime && formatZonedTime(newTime);
  if (dryRun) {
    context.print("would save new snapshot");
    if (outcome.removedOld) context.print("would remove old snapshot");
    if (time) context.print(`would set time to ${time}`);
    if (newHost) context.print(`would set hostname to ${newHost}`);
    return;
  }
  if (time) context.print(`setting time to ${time}`);
  if (newHost) context.print(`setting host to ${newHost}`);
  if (outcome.id) context.print(`saved new snapshot ${formatShortId(outcome.id)}`);
  if (outcome.removedOld) context.print(`removed old snapshot ${formatShortId(snapshot.id)}`);
}
