import { posix } from "node:path";
import { type Command, Option } from "commander";
import {
  type BackupCommandOptions,
  BackupProgress,
  type PreparedBackup,
  prepareBackup,
  runBackup,
} from "../../commands/backup.js";
import { explainBackup } from "../../commands/explain-backup.js";
import type { GroupBy } from "../../commands/group-snapshots.js";
import { widenPipe } from "../../commands/wide-pipe.js";
import { UsageError, YoreError } from "../../errors.js";
import { BackupReport, formatBackupProgress } from "../backup-report.js";
import { action, type CommandContext } from "../command-context.js";
import { addDeprecatedOption } from "../deprecated-option.js";
import { describeEnvironment, environmentForChildren, readEnvironment, readSwitch } from "../environment.js";
import { collect, parseCount } from "../global-options.js";
import { parseGroupBy } from "../group-by.js";
import { invalidArgument } from "../invalid-argument.js";
import type { Io } from "../output.js";
import type { PatternFlags } from "../pattern-options.js";
import { parseTagList } from "../snapshot-filter.js";
import { terminalText } from "../terminal-text.js";
import { parseLocalTime } from "../times.js";
import { parseSize } from "../units.js";

interface BackupFlags extends PatternFlags<"exclude"> {
  readonly dryRun?: boolean;
  readonly excludeCaches?: boolean;
  readonly excludeIfPresent?: string[];
  readonly excludeGitignore?: boolean;
  readonly excludeLargerThan?: string;
  readonly explain?: string[];
  readonly filesFrom?: string[];
  readonly filesFromVerbatim?: string[];
  readonly filesFromRaw?: string[];
  readonly force?: boolean;
  readonly groupBy?: GroupBy;
  readonly host?: string;
  readonly ignoreCtime?: boolean;
  readonly ignoreInode?: boolean;
  readonly scan: boolean;
  readonly oneFileSystem?: boolean;
  readonly parent?: string;
  readonly readConcurrency?: string;
  readonly skipIfUnchanged?: boolean;
  readonly stdin?: boolean;
  readonly stdinFilename: string;
  readonly stdinFromCommand?: boolean;
  readonly tag?: string[];
  readonly time?: string;
  readonly withAtime?: boolean;
}

export function registerBackup(program: Command, io: Io): void {
  const command = program
    .command("backup")
    .description("make a snapshot of files and directories")
    .argument("[path...]", "files and directories; with --stdin-from-command, the command");
  addSourceFlags(command);
  addExcludeFlags(command);
  addSnapshotFlags(command);
  addDeprecatedOption(command, io, { flags: "--hostname <hostname>", instead: "use --host", sameAs: "host" });
  command.action(
    action<BackupFlags>(io, async (context, paths, flags) => {
      refuseSharedStdin(context, flags);
      const prepared = await prepareBackup(readOptions(context, paths, flags), {
        stdin: io.stdin,
        stderr: io.stderr,
        environment: io.env,
        childEnvironment: environmentForChildren(io.env),
        warn: (message) => context.warn(message),
      });
      if (flags.explain) return explainPaths(context, flags.explain, prepared);
      const progress = new BackupProgress();
      const report = new BackupReport(context, progress, prepared);
      if (flags.stdin) widenPipe(io.stdin);
      context.verbose(2, "open repository");
      const needs = {
        lock: flags.dryRun ? "none" : "shared",
        ahead: { snapshots: "as-is", index: "again" },
        lockAlways: !flags.dryRun,
      } as const;
      const summary = await context.withSession(needs, async (session) => {
        const renderer = context.startProgress(
          (elapsed) => formatBackupProgress(progress, elapsed),
          (elapsed) => report.status(elapsed),
        );
        try {
          return await runBackup(session, prepared, { progress, on: (event) => report.show(event) });
        } finally {
          renderer.stop();
        }
      });
      report.finish(summary);
      if (summary.errors > 0 || prepared.missing > 0)
        throw new YoreError("incomplete", "Warning: at least one source file could not be read");
      return undefined;
    }),
  );
}

/** Needs no repository. */
async function explainPaths(
  context: CommandContext,
  paths: readonly string[],
  prepared: PreparedBackup,
): Promise<undefined> {
  for (const path of paths) {
    const { path: absolute, included, rule, decided_at } = await explainBackup(path, prepared);
    if (context.global.json)
      context.json({ message_type: "explanation", path: absolute, included, rule, decided_at });
    else {
      const where = decided_at === absolute ? "" : ` (decided at ${decided_at})`;
      context.io.stdout.line(terminalText(`${included ? "in " : "out"}  ${absolute}: ${rule}${where}`));
    }
  }
}

function addSourceFlags(command: Command): void {
  const list = (flags: string, description: string) =>
    command.addOption(new Option(flags, description).argParser(collect));
  list("--files-from <file>", "read the names of what is to be saved, as patterns, from a file (repeatable)");
  list("--files-from-raw <file>", "the same, names end in zero bytes (repeatable)");
  list("--files-from-verbatim <file>", "the same, a name a line, taken as it is (repeatable)");
  command
    .option("--stdin", "save what comes from standard input")
    .option("--stdin-filename <filename>", "how that file is named in the snapshot", "stdin")
    .option("--stdin-from-command", "run the arguments as a command and save what it prints");
}

function addExcludeFlags(command: Command): void {
  const list = (flags: string, description: string) =>
    command.addOption(new Option(flags, description).argParser(collect));
  list("-e, --exclude <pattern>", "leave out what matches a pattern (repeatable)");
  list("--iexclude <pattern>", "the same, in upper or lower case (repeatable)");
  list("--exclude-file <file>", "leave out what matches the patterns in a file (repeatable)");
  list("--iexclude-file <file>", "the same, in upper or lower case (repeatable)");
  list("--explain <path>", "save nothing: say which rule decides whether a path is saved (repeatable)");
  list(
    "--exclude-if-present <filename[:header]>",
    "leave out what lies beside such a file, if it begins so (repeatable)",
  );
  command
    .option("--exclude-caches", "leave out what lies beside a valid CACHEDIR.TAG")
    .option("--exclude-gitignore", "leave out what .gitignore files ignore, in git's working trees")
    .option("--exclude-larger-than <size>", "leave out files beyond a size (suffixes k, m, g, t)")
    .option("-x, --one-file-system", "stay on the file systems of the paths");
}

function addSnapshotFlags(command: Command): void {
  command
    .option("-n, --dry-run", "find out what would be saved, and save nothing")
    .option("-f, --force", "read all files again, whatever the parent snapshot says")
    .option(
      "-g, --group-by <group>",
      'what a parent snapshot must share: host, paths and/or tags, separated by commas (default "host,paths")',
      parseGroupBy,
    )
    .option("-H, --host <hostname>", `host name of the snapshot (default: ${describeEnvironment("HOST")})`)
    .option(
      "--ignore-ctime",
      `do not take a file for changed because of its change time (default: ${describeEnvironment("IGNORE_CTIME")})`,
    )
    .option(
      "--ignore-inode",
      `nor because of its inode number or change time (default: ${describeEnvironment("IGNORE_INODE")})`,
    )
    .option("--no-scan", "do not find out beforehand how much there is")
    .option("--parent <snapshot>", "the parent snapshot (default: the newest of the group)")
    .option(
      "--read-concurrency <n>",
      `read so many large files at a time (default: ${describeEnvironment("READ_CONCURRENCY")}, or 2)`,
    )
    .option("--skip-if-unchanged", "make no snapshot when nothing changed since the parent")
    .addOption(
      new Option("--tag <tags>", "tags of the snapshot, separated by commas (repeatable)").argParser(collect),
    )
    .option("--time <time>", 'when the snapshot claims to be made, as "2012-11-01 22:08:41" (default: now)')
    .option("--with-atime", "store access times");
}

/** The first line of the data must not be taken for the password. @throws {UsageError} */
function refuseSharedStdin(context: CommandContext, flags: BackupFlags): void {
  const lists = [flags.filesFrom, flags.filesFromVerbatim, flags.filesFromRaw];
  const isRead = (flags.stdin && !flags.stdinFromCommand) || lists.some((names) => names?.includes("-"));
  if (!isRead || !context.global.repository().password.usesStdin) return;
  throw new UsageError("Cannot read both password and data from stdin", {
    hint: "use --password-file, --password-command or $YORE_PASSWORD",
  });
}

function readOptions(
  context: CommandContext,
  paths: readonly string[],
  flags: BackupFlags,
): BackupCommandOptions {
  const { global, io } = context;
  const streamed = flags.stdin || flags.stdinFromCommand;
  return {
    sources: {
      paths,
      filesFrom: flags.filesFrom ?? [],
      filesFromVerbatim: flags.filesFromVerbatim ?? [],
      filesFromRaw: flags.filesFromRaw ?? [],
    },
    exclude: {
      excludes: flags.exclude ?? [],
      ignoreCaseExcludes: flags.iexclude ?? [],
      excludeFiles: flags.excludeFile ?? [],
      ignoreCaseExcludeFiles: flags.iexcludeFile ?? [],
      excludeCaches: flags.excludeCaches ?? false,
      excludeIfPresent: flags.excludeIfPresent ?? [],
      excludeLargerThanBytes: flags.excludeLargerThan
        ? parseSize("--exclude-larger-than", flags.excludeLargerThan)
        : undefined,
      excludeGitIgnored: flags.excludeGitignore ?? false,
      oneFileSystem: flags.oneFileSystem ?? false,
      cacheFolder: global.cache?.folder,
    },
    stream: streamed
      ? {
          filename: checkStreamName(flags.stdinFilename),
          command: flags.stdinFromCommand ? paths : undefined,
        }
      : undefined,
    parent: flags.parent || undefined,
    force: flags.force ?? false,
    groupBy: flags.groupBy ?? { host: true, paths: true, tags: false },
    host: flags.host || readEnvironment(io.env, "HOST")?.value,
    tags: (flags.tag ?? []).flatMap(parseTagList).filter((tag) => tag !== ""),
    time: flags.time ? readTime(flags.time) : undefined,
    withAtime: flags.withAtime ?? false,
    ignoreCtime: flags.ignoreCtime ?? readSwitch(io.env, "IGNORE_CTIME"),
    ignoreInode: flags.ignoreInode ?? readSwitch(io.env, "IGNORE_INODE"),
    dryRun: flags.dryRun ?? false,
    skipIfUnchanged: flags.skipIfUnchanged ?? false,
    readConcurrency: readConcurrency(flags, io),
    scan: flags.scan && showsTotals(context),
    reportItems: global.verbosity >= (global.json ? 2 : 3),
  };
}

/** @throws {UsageError} for what stands for the root of the snapshot, which can be no file */
function checkStreamName(name: string): string {
  if (posix.join("/", name) === "/") throw invalidArgument("--stdin-filename", name, "it names no file");
  return name;
}

/** Counting takes a fifth of a backup that finds nothing changed: not where nobody would see what comes of it. */
function showsTotals({ global, io }: CommandContext): boolean {
  if (global.verbosity === 0) return false;
  return global.json || global.verbosity >= 2 || global.progressFps !== undefined || io.status.usable;
}

function readConcurrency(flags: BackupFlags, io: Io): number {
  if (flags.readConcurrency !== undefined) return parseCount("--read-concurrency", flags.readConcurrency);
  const found = readEnvironment(io.env, "READ_CONCURRENCY");
  return found ? parseCount(found.name, found.value) : 0;
}

function readTime(text: string) {
  const time = parseLocalTime(text);
  if (!time) throw new UsageError(`error in time option: "${text}" is not like "2012-11-01 22:08:41"`);
  return time;
}
