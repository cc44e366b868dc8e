import { type Command, Option } from "commander";
import { READING } from "../../commands/ask-ahead.js";
import { type ListingWriter, runLs } from "../../commands/ls.js";
import { UsageError } from "../../errors.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import type { WalkedNode } from "../../mod.js";
import { action, type CommandContext } from "../command-context.js";
import { invalidArgument } from "../invalid-argument.js";
import { NcduWriter } from "../ncdu-writer.js";
import { nodeOrder, SORT_MODES, type SortMode } from "../node-order.js";
import { longLine, nodeJson } from "../node-text.js";
import type { Io } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { snapshotJson } from "../snapshot-json.js";
import { snapshotTitle } from "../snapshot-title.js";
import { terminalName, terminalText } from "../terminal-text.js";

interface LsFlags extends SnapshotFilterFlags {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly humanReadable?: boolean;
  readonly ncdu?: boolean;
  readonly sort: SortMode;
  readonly reverse?: boolean;
}

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
      await context.withSession({ lock: "shared", ahead: READING }, async (session) => {
        const options = { snapshot, filter, directories, recursive: flags.recursive === true };
        await runLs(session, options, chooseWriter(context, flags, directories));
      });
      return undefined;
    }),
  );
}

function parseSortMode(text: string): SortMode {
  const mode = SORT_MODES.find((one) => one === text);
  if (!mode) throw invalidArgument("-s, --sort", text, `wanted one of ${SORT_MODES.join(", ")}`);
  return mode;
}

function checkFlags(flags: LsFlags, json: boolean): void {
  if (!flags.ncdu) return;
  if (json) throw new UsageError("only either '--json' or '--ncdu' can be specified");
  if (flags.reverse) throw new UsageError("--reverse and --ncdu are mutually exclusive");
  if (flags.sort !== "name") throw new UsageError("--sort and --ncdu are mutually exclusive");
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
    write: (walked, isOnTheWay) =>
      isOnTheWay ? undefined : io.stdout.line(nodeJson(absolutePath(walked), walked.node)),
    leave: () => {},
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
    write: (walked, isOnTheWay) => {
      if (isOnTheWay) return undefined;
      const path = absolutePath(walked);
      const line = flags.long
        ? longLine(path, walked.node, { name, humanReadable: flags.humanReadable === true })
        : name(path);
      return stdout.writeLine(line);
    },
    leave: () => {},
    end: () => {},
  };
}

const SLASH = 0x2f;

/** A path as it is shown, "/" in front. */
function absolutePath({ directory, node: { name } }: WalkedNode): Buffer {
  const nameAt = directory.length === 0 ? 1 : directory.length + 2;
  const path = Buffer.allocUnsafe(nameAt + name.length);
  path[0] = SLASH;
  path.set(directory, 1);
  path[nameAt - 1] = SLASH;
  path.set(name, nameAt);
  return path;
}

function snapshotHeader(snapshot: LoadedSnapshot, directories: readonly string[]): string {
  return `${snapshotTitle(snapshot)} filtered by [${directories.join(" ")}]:`;
}

/** Holds everything back to sort it; needs memory for all of the listing. */
function sortingWriter(writer: ListingWriter, mode: SortMode, reverse: boolean): ListingWriter {
  const all: WalkedNode[] = [];
  const compare = nodeOrder(mode);
  return {
    start: (snapshot) => writer.start(snapshot),
    write: (walked, isOnTheWay) => {
      if (!isOnTheWay) all.push(walked);
      return undefined;
    },
    leave: () => {},
    end: () => {
      all.sort(reverse ? (a, b) => compare(b, a) : compare);
      for (const walked of all) writer.write(walked, false);
      writer.end();
    },
  };
}
