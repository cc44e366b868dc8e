import { type Command, Option } from "commander";
import { absolutePath } from "../../bytes/system-path.js";
import { READING } from "../../commands/ask-ahead.js";
import { checkRestoreOptions, type RestoreCommandOptions, runRestore } from "../../commands/restore.js";
import { UsageError, YoreError } from "../../errors.js";
import { goJsonString } from "../../format/go-json.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import {
  newRestoreProgress,
  OVERWRITE_MODES,
  type OverwriteMode,
  type RestoreEvent,
  type RestoreProgress,
  type RestoreSummary,
} from "../../mod.js";
import { textBytes } from "../../patterns/mod.js";
import { action, type CommandContext } from "../command-context.js";
import { collect } from "../global-options.js";
import { invalidArgument } from "../invalid-argument.js";
import type { Io } from "../output.js";
import { addPatternFlags, type PatternFlags, resolvePatternFlags } from "../pattern-options.js";
import { Pace } from "../phase-progress.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotTitle } from "../snapshot-title.js";
import { terminalName, terminalText } from "../terminal-text.js";
import { formatBytes, formatDuration, formatPercent } from "../units.js";

interface RestoreFlags extends SnapshotFilterFlags, PatternFlags<"exclude" | "include"> {
  readonly target?: string;
  readonly excludeXattr?: string[];
  readonly includeXattr?: string[];
  readonly dryRun?: boolean;
  readonly sparse?: boolean;
  readonly verify?: boolean;
  readonly overwrite: OverwriteMode;
  readonly delete?: boolean;
  readonly ownershipByName?: boolean;
}

/** Warnings that are shown one by one; of the others only their number. */
const SHOWN_WARNINGS = 20;

export function registerRestore(program: Command, io: Io): void {
  const command = program
    .command("restore")
    .description("write the files of a snapshot into a directory")
    .argument(
      "[snapshotID...]",
      'ID, beginning of an ID or "latest"; ":folder" behind it restores only that folder',
    )
    .option("-t, --target <directory>", "directory to restore to");
  addPatternFlags(command, "exclude");
  addPatternFlags(command, "include");
  command
    .option("--exclude-xattr <pattern>", "leave out extended attributes (repeatable)", collect)
    .option("--include-xattr <pattern>", "restore only these extended attributes (repeatable)", collect)
    .option("--dry-run", "write nothing, only say what would be done")
    .option("--sparse", "leave holes in files where their content is zero")
    .option("--verify", "read what was written again and compare it")
    .addOption(
      new Option("--overwrite <behavior>", `what to do with files that exist: ${OVERWRITE_MODES.join("|")}`)
        .default("always" satisfies OverwriteMode)
        .argParser(parseOverwrite),
    )
    .option(
      "--delete",
      "remove files from restored directories that the snapshot does not have; see --dry-run -vv",
    )
    .option("--ownership-by-name", "restore owners by the names of user and group");
  addSnapshotFilter(command, ', when the snapshot is "latest"');
  command.action(
    action<RestoreFlags>(io, async (context, args, flags) => {
      const options = await resolveOptions(args, flags, io);
      checkRestoreOptions(options);
      await context.withSession({ lock: "shared", ahead: READING }, async (session) => {
        const view = new RestoreView(context, String(options.target));
        const progress = newRestoreProgress();
        const pace = new Pace();
        const renderer = context.startProgress(
          (seconds) => [statusLine(progress, seconds) + eta(progress, pace, seconds)],
          (seconds) => statusJson(progress, seconds),
        );
        try {
          const result = await runRestore(session, options, {
            progress,
            on: (event) => view.show(event),
            onSnapshot: (snapshot) => view.announce(snapshot),
            onIndexProblem: (error) => view.showIndexProblem(error),
          });
          renderer.stop();
          view.finish(result.summary, options.verify === true);
        } finally {
          renderer.stop();
        }
      });
      return undefined;
    }),
  );
}

async function resolveOptions(
  args: readonly string[],
  flags: RestoreFlags,
  io: Io,
): Promise<RestoreCommandOptions> {
  if (args.length === 0) throw new UsageError("no snapshot ID specified");
  if (args.length > 1) throw new UsageError(`more than one snapshot ID specified: [${args.join(" ")}]`);
  return {
    snapshot: args[0]!,
    filter: resolveSnapshotFilter(flags, io.env),
    target: flags.target ?? "",
    excludes: await resolvePatternFlags("exclude", flags, io.env),
    includes: await resolvePatternFlags("include", flags, io.env),
    excludeXattrs: flags.excludeXattr ?? [],
    includeXattrs: flags.includeXattr ?? [],
    overwrite: flags.overwrite,
    delete: flags.delete === true,
    dryRun: flags.dryRun === true,
    sparse: flags.sparse === true,
    verify: flags.verify === true,
    ownershipByName: flags.ownershipByName === true,
  };
}

function parseOverwrite(text: string): OverwriteMode {
  const mode = OVERWRITE_MODES.find((one) => one === text);
  if (!mode) throw invalidArgument("--overwrite", text, `wanted one of ${OVERWRITE_MODES.join("|")}`);
  return mode;
}

/** Renders what a restore tells, as text or JSON. */
class RestoreView {
  readonly #context: CommandContext;
  readonly #target: string;
  readonly #started = performance.now();
  #warnings = 0;
  #errors = 0;

  constructor(context: CommandContext, target: string) {
    this.#context = context;
    this.#target = target;
  }

  announce(snapshot: LoadedSnapshot): void {
    this.#context.print(
      `restoring ${terminalText(snapshotTitle(snapshot))} to ${terminalText(this.#target)}`,
    );
  }

  show(event: RestoreEvent): void {
    switch (event.type) {
      case "item":
        this.#showItem(event);
        return;
      case "error":
        this.#showError(event.location, event.error);
        return;
      case "warning":
        if (++this.#warnings <= SHOWN_WARNINGS) this.#warn(event.error);
        return;
      case "verifying":
        this.#context.print(`verifying files in ${terminalText(this.#target)}`);
    }
  }

  showIndexProblem(error: YoreError): void {
    this.#errors++;
    const message = `${error.message}; run \`yore check\``;
    if (this.#context.global.json) this.#errorJson("", message);
    else this.#context.warn(terminalText(message));
  }

  /** @throws {YoreError} if anything is missing from the target */
  finish(summary: RestoreSummary, verified: boolean): void {
    const { global } = this.#context;
    if (this.#warnings > SHOWN_WARNINGS)
      this.#context.warn(`Warning: ${this.#warnings - SHOWN_WARNINGS} more warnings, not shown`);
    if (global.json) this.#context.json(summaryJson(summary));
    else this.#context.print(summaryLine(summary));
    if (this.#warnings > 0 && !global.json)
      this.#context.warn(
        `${this.#warnings} warning${this.#warnings > 1 ? "s" : ""}: the content is restored, but not all owners, times, modes or attributes`,
      );
    const errors = this.#errors;
    if (errors > 0) throw new YoreError("damaged", `There were ${errors} errors`);
    if (!verified) return;
    const seconds = (performance.now() - this.#started) / 1000;
    this.#context.print(
      `finished verifying ${summary.filesVerified} files in ${terminalText(this.#target)} (took ${seconds.toFixed(3)}s)`,
    );
  }

  #showItem(event: Extract<RestoreEvent, { type: "item" }>): void {
    const { global, io } = this.#context;
    if (global.verbosity < 3) return;
    const location = this.#shownPath(event);
    if (global.json) {
      const { action: verb, size } = event;
      const item = goJsonString(location.toString());
      io.stdout.line(`{"message_type":"verbose_status","action":"${verb}","item":${item},"size":${size}}`);
      return;
    }
    const size = event.isFile ? ` with size ${formatBytes(event.size)}` : "";
    // A pipe gets the bytes of the name as they are.
    const name = io.stdout.isTTY ? Buffer.from(terminalName(location)) : location;
    io.stdout.writeLine(Buffer.concat([Buffer.from(`${event.action.padEnd(9)} `), name, Buffer.from(size)]));
  }

  /** As restic has it: what is deleted is named where it was, for the snapshot does not have it. */
  #shownPath({ action: verb, location }: Extract<RestoreEvent, { type: "item" }>): Buffer {
    if (verb !== "deleted") return textBytes(location);
    const target = absolutePath(this.#target);
    return textBytes(target === "/" ? location : target + location);
  }

  #showError(location: string, error: YoreError): void {
    this.#errors++;
    const bytes = textBytes(location);
    if (this.#context.global.json) {
      this.#errorJson(bytes.toString(), error.message);
      return;
    }
    this.#context.warn(`ignoring error for ${terminalName(bytes)}: ${terminalText(error.message)}`);
  }

  #errorJson(item: string, message: string): void {
    this.#context.io.stderr.json({ message_type: "error", error: { message }, during: "restore", item });
  }

  #warn(error: YoreError): void {
    this.#context.warn(`Warning: ${terminalText(error.message)}`);
  }
}

type Counters = Omit<RestoreProgress, "phase">;

function eta(progress: RestoreProgress, pace: Pace, seconds: number): string {
  const { phase, filesVerified, filesToVerify, bytesRestored, bytesTotal } = progress;
  const remaining =
    phase === "verify"
      ? pace.remainingSeconds(seconds, phase, filesVerified, filesToVerify)
      : pace.remainingSeconds(seconds, phase, bytesRestored, bytesTotal);
  return remaining > 0 ? `, ETA ${formatDuration(remaining)}` : "";
}

function statusLine(progress: RestoreProgress, seconds: number): string {
  const time = `[${formatDuration(seconds)}]`;
  if (progress.phase === "verify")
    return `${time} ${formatPercent(progress.filesVerified, progress.filesToVerify)}  ${progress.filesVerified} / ${progress.filesToVerify} files verified`;
  const percent = formatPercent(progress.bytesRestored, progress.bytesTotal);
  const done = `${progress.filesRestored} files/dirs ${formatBytes(progress.bytesRestored)}`;
  const total = `total ${progress.filesTotal} files/dirs ${formatBytes(progress.bytesTotal)}`;
  return `${time} ${percent}  ${done}, ${total}${otherCounts(progress)}`;
}

function summaryLine(summary: RestoreSummary): string {
  const { filesRestored, filesTotal, bytesRestored, bytesTotal } = summary;
  const isAll = filesRestored === filesTotal && bytesRestored === bytesTotal;
  const counts = isAll
    ? `${filesTotal} files/dirs (${formatBytes(bytesTotal)})`
    : `${filesRestored} / ${filesTotal} files/dirs (${formatBytes(bytesRestored)} / ${formatBytes(bytesTotal)})`;
  return `Summary: Restored ${counts} in ${formatDuration(summary.durationMs / 1000)}${otherCounts(summary)}`;
}

function otherCounts({ filesSkipped, bytesSkipped, filesDeleted }: Counters): string {
  const skipped = filesSkipped > 0 ? `, skipped ${filesSkipped} files/dirs ${formatBytes(bytesSkipped)}` : "";
  return `${skipped}${filesDeleted > 0 ? `, deleted ${filesDeleted} files/dirs` : ""}`;
}

function statusJson(progress: RestoreProgress, seconds: number): unknown {
  const { bytesRestored, bytesTotal } = progress;
  return {
    message_type: "status",
    ...present({ seconds_elapsed: Math.floor(seconds) }),
    percent_done: bytesTotal > 0 ? bytesRestored / bytesTotal : 0,
    ...countersJson(progress),
  };
}

function summaryJson(summary: RestoreSummary): unknown {
  return {
    message_type: "summary",
    ...present({ seconds_elapsed: Math.floor(summary.durationMs / 1000) }),
    ...countersJson(summary),
  };
}

function countersJson(counters: Counters): Record<string, number> {
  return present({
    total_files: counters.filesTotal,
    files_restored: counters.filesRestored,
    files_skipped: counters.filesSkipped,
    files_deleted: counters.filesDeleted,
    total_bytes: counters.bytesTotal,
    bytes_restored: counters.bytesRestored,
    bytes_skipped: counters.bytesSkipped,
  });
}

/** restic leaves out what is zero. */
function present(members: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== 0));
}
