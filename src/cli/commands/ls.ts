import { type Command, Option } from "commander";
import { formatShortId } from "../../bytes/id.js";
import { type ListedNode, type Listing, runLs } from "../../commands/ls.js";
import { UsageError } from "../../errors.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import { action, type CommandContext } from "../command-context.js";
import { NcduWriter } from "../ncdu-writer.js";
import { nodeOrder, SORT_MODES, type SortMode } from "../node-order.js";
import { longLine, nodeJson } from "../node-text.js";
import type { Io } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotJson } from "../snapshot-json.js";
import { terminalName, terminalText } from "../terminal-text.js";
import { formatZonedTime } from "../times.js";

interface LsFlags extends SnapshotFilterFlags {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly humanReadable?: boolean;
  readonly ncdu?: boolean;
  readonly sort: SortMode;
  readonly reverse?: boolean;
}

/** Writes a listing in one of its forms. What is returned is awaited, so that a slow reader slows the walk down. */
interface ListingWriter {
  start(snapshot: LoadedSnapshot): void;
  write(step: ListedNode): Promise<void> | undefined;
  end(): void;
}

type NodeStep = Extract<ListedNode, { type: "node" }>;

export function registerLs(program: Command, io: Io): void {
  const command = program
    .command("ls")
    .description("list files and directories of a snapshot")
    .argument(
      "<snapshotID>",
      'ID, beginning of an ID or "latest"; ":folder" behind it lists only that folder',
    )
    .argument("[dir...]", "absolute directories: list only these and what lies directly in them")
    .option("-l, --long", "show mode, owner, size and time")
    .option("--recursive", "with directories: also list what lies deeper in them")
    .option("--human-readable", "show sizes with units")
    .option("--ncdu", "write the export format of ncdu (pipe into 'ncdu -f -')")
    .addOption(
      new Option("-s, --sort <mode>", `sort by (${SORT_MODES.join("|")})`)
        .default("name" satisfies SortMode)
        .argParser(parseSortMode),
    )
    .option("--reverse", "reverse the order");
  addSnapshotFilter(command, ', when the snapshot is "latest"');
  command.action(
    action<LsFlags>(io, async (context, [snapshot = "", ...directories], flags) => {
      checkFlags(flags, context.global.json);
      const filter = resolveSnapshotFilter(flags, io.env);
      await context.withSession({ lock: "shared" }, async (session) => {
        const options = { snapshot, filter, directories, recursive: flags.recursive === true };
        await writeListing(await runLs(session, options), chooseWriter(context, flags, directories));
      });
      return undefined;
    }),
  );
}

function parseSortMode(text: string): SortMode {
  const mode = SORT_MODES.find((one) => one === text);
  if (!mode)
    throw new UsageError(
      `invalid argument "${text}" for "-s, --sort" flag: wanted one of ${SORT_MODES.join(", ")}`,
    );
  return mode;
}

function checkFlags(flags: LsFlags, json: boolean): void {
  if (!flags.ncdu) return;
  if (json) throw new UsageError("only either '--json' or '--ncdu' can be specified");
  if (flags.reverse) throw new UsageError("--reverse and --ncdu are mutually exclusive");
  if (flags.sort !== "name") throw new UsageError("--sort and --ncdu are mutually exclusive");
}

async function writeListing({ snapshot, nodes }: Listing, writer: ListingWriter): Promise<void> {
  writer.start(snapshot);
  for await (const step of nodes) {
    const full = writer.write(step);
    if (full) await full;
  }
  writer.end();
}

function chooseWriter(
  context: CommandContext,
  flags: LsFlags,
  directories: readonly string[],
): ListingWriter {
  const { io } = context;
  if (flags.ncdu) return new NcduWriter(io.stdout);
  const plain = context.global.json ? jsonWriter(io) : textWriter(context, flags, directories);
  return flags.sort === "name" && !flags.reverse
    ? plain
    : sortingWriter(plain, flags.sort, flags.reverse === true);
}

function jsonWriter(io: Io): ListingWriter {
  return {
    start: (snapshot) =>
      void io.stdout.line(snapshotJson(snapshot, { message_type: "snapshot", struct_type: "snapshot" })),
    write: (step) => (isShown(step) ? io.stdout.line(nodeJson(step.path, step.node)) : undefined),
    end: () => {},
  };
}

function textWriter(context: CommandContext, flags: LsFlags, directories: readonly string[]): ListingWriter {
  const { stdout } = context.io;
  // Piped, names are the bytes that they are; a terminal would act upon some of them.
  const name = (bytes: Buffer) => (stdout.isTTY ? Buffer.from(terminalName(bytes)) : bytes);
  return {
    start: (snapshot) => {
      const header = snapshotHeader(snapshot, directories);
      context.print(stdout.isTTY ? terminalText(header) : header);
    },
    write: (step) => {
      if (!isShown(step)) return undefined;
      const line = flags.long
        ? longLine(step.path, step.node, { name, humanReadable: flags.humanReadable === true })
        : name(step.path);
      return stdout.write(Buffer.concat([line, NEWLINE]));
    },
    end: () => {},
  };
}

const NEWLINE = Buffer.from("\n");

function snapshotHeader(snapshot: LoadedSnapshot, directories: readonly string[]): string {
  const user = `${snapshot.username}@${snapshot.hostname}`;
  const paths = `[${snapshot.paths.join(" ")}]`;
  const filtered = `[${directories.join(" ")}]`;
  return `snapshot ${formatShortId(snapshot.id)} of ${paths} at ${formatZonedTime(snapshot.time)} by ${user} filtered by ${filtered}:`;
}

/** Holds everything back to sort it; needs memory for all of the listing. */
function sortingWriter(writer: ListingWriter, mode: SortMode, reverse: boolean): ListingWriter {
  const steps: NodeStep[] = [];
  const compare = nodeOrder(mode);
  return {
    start: (snapshot) => writer.start(snapshot),
    write: (step) => {
      if (isShown(step)) steps.push(step);
      return undefined;
    },
    end: () => {
      steps.sort(reverse ? (a, b) => compare(b, a) : compare);
      for (const step of steps) writer.write(step);
      writer.end();
    },
  };
}

function isShown(step: ListedNode): step is NodeStep {
  return step.type === "node" && !step.isOnTheWay;
}
