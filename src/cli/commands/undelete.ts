import type { Command } from "commander";
import { runUndelete, type UndeleteResult } from "../../commands/undelete.js";
import { UsageError } from "../../errors.js";
import { formatLocalTime } from "../../format/timestamp.js";
import { action, type CommandContext } from "../command-context.js";
import { parseFindTime } from "../find-time.js";
import type { Io } from "../output.js";
import { renderTable } from "../table.js";
import { formatBytes } from "../units.js";

interface UndeleteFlags {
  readonly since?: string;
  readonly until?: string;
  readonly dryRun?: boolean;
}

export function registerUndelete(program: Command, io: Io): void {
  program
    .command("undelete")
    .description(
      "bring back what clients deleted from a repository that yore serve keeps deleted files of\n\n" +
        "It runs on the machine of the server, needs no password, and works while the server runs. What was deleted is " +
        "kept as long as --keep-deleted or keep-deleted in the policy file of yore serve says.",
    )
    .argument("<folder>", "folder of one repository, such as /srv/backups/ada/laptop")
    .option("--since <time>", 'only what was deleted then or later, such as "2026-11-28 13:05"')
    .option("--until <time>", "only what was deleted then or before")
    .option("-n, --dry-run", "only say what was deleted, and when")
    .action(
      action<UndeleteFlags>(io, async (context, [folder = ""], flags) => {
        const dryRun = flags.dryRun === true;
        const result = await runUndelete(
          { folder, sinceMs: readTime(flags.since), untilMs: readTime(flags.until), dryRun },
          context.signal,
        );
        if (context.global.json) context.json(toJson(result, dryRun));
        else print(context, result, dryRun);
        return undefined;
      }),
    );
}

function readTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = parseFindTime(text);
  if (!time) throw new UsageError(`Cannot read time "${text}": wanted something like "2026-11-28 13:05"`);
  return time.seconds * 1000 + time.nanoseconds / 1e6;
}

function print(context: CommandContext, result: UndeleteResult, dryRun: boolean): void {
  const { deletions, files, bytes, alreadyThere, locks } = result;
  if (files === 0) context.print("Nothing that was deleted is kept, or it was deleted at another time.");
  else {
    const rows = deletions.map(({ minuteMs, files: of, bytes: size }) => [
      formatLocalTime({ seconds: minuteMs / 1000, nanoseconds: 0, zoneMinutes: 0 }).slice(
        0,
        "2026-11-28 13:05".length,
      ),
      ...[of.snapshot, of.index, of.pack, of.key, of.config].map(String),
      formatBytes(size),
    ]);
    for (const line of renderTable(COLUMNS, rows)) context.print(line);
    context.print(`${files} files (${formatBytes(bytes)}) ${dryRun ? "can be brought back" : "are back"}`);
  }
  if (alreadyThere > 0) context.print(`${alreadyThere} files were there again already`);
  if (locks > 0)
    context.warn(`The repository has ${locks} locks: a program that is at work may not see what came back`);
}

const COLUMNS = [
  { header: "Deleted" },
  ...["Snapshots", "Index", "Packs", "Keys", "Config", "Size"].map((header) => ({
    header,
    align: "right" as const,
  })),
];

function toJson({ deletions, files, bytes, alreadyThere, locks }: UndeleteResult, dryRun: boolean): object {
  return {
    message_type: "summary",
    dry_run: dryRun,
    files,
    bytes,
    already_there: alreadyThere,
    locks,
    deletions: deletions.map(({ minuteMs, files: of, bytes: size }) => ({
      minute: new Date(minuteMs).toISOString(),
      snapshots: of.snapshot,
      index: of.index,
      packs: of.pack,
      keys: of.key,
      config: of.config,
      bytes: size,
    })),
  };
}
