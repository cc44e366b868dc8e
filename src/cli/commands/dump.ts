import { open } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { systemPath } from "../../bytes/system-path.js";
import type { Sink } from "../../commands/archive-writer.js";
import { READING } from "../../commands/ask-ahead.js";
import { ARCHIVE_FORMATS, type DumpKind, runDump } from "../../commands/dump.js";
import { widenPipe } from "../../commands/wide-pipe.js";
import { isFull, messageOf, UsageError, YoreError } from "../../errors.js";
import { action } from "../command-context.js";
import { type Io, Output } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { terminalText } from "../terminal-text.js";

interface DumpFlags extends SnapshotFilterFlags {
  readonly archive: string;
  readonly target?: string;
}

export function registerDump(program: Command, io: Io): void {
  const command = program
    .command("dump")
    .description("print a file of a snapshot, or an archive of a directory")
    .argument(
      "[snapshotID]",
      'ID, beginning of an ID or "latest"; ":folder" behind it makes that folder the root',
    )
    .argument("[file]", "path of a file or a directory; / for everything")
    .option("-a, --archive <format>", `archive format (${ARCHIVE_FORMATS.join("|")})`, "tar")
    .option("-t, --target <file>", "write to this file instead of standard output");
  addSnapshotFilter(command, ', when the snapshot is "latest"');
  command.action(
    action<DumpFlags>(io, async (context, [snapshot, path, more], flags) => {
      if (snapshot === undefined || path === undefined || more !== undefined)
        throw new UsageError("no file and no snapshot ID specified");
      const format = ARCHIVE_FORMATS.find((one) => one === flags.archive);
      if (!format) throw new UsageError(`unknown archive format "${flags.archive}"`);
      const options = { snapshot, path, format, filter: resolveSnapshotFilter(flags, io.env) };
      let errors = 0;
      const onError = (error: Error) => {
        errors++;
        context.problem(terminalText(error.message));
      };
      await context.withSession(
        { lock: "shared", ahead: READING, announce: flags.target !== undefined },
        async (session) => {
          if (flags.target !== undefined) {
            const bytes = await dumpToFile(flags.target, (sink) =>
              runDump(session, options, () => sink, onError),
            );
            // Without a target the standard output is the file, with --json as well.
            if (context.global.json)
              context.json({ message_type: "summary", target: flags.target, bytes_written: bytes });
            return;
          }
          const open = (kind: DumpKind) => {
            if (kind === "archive" && io.stdout.isTTY)
              throw new UsageError("stdout is the terminal, please redirect output");
            widenPipe(io.stdout);
            return (bytes: Uint8Array) => io.stdout.pass(bytes);
          };
          await runDump(session, options, open, onError);
        },
      );
      if (errors > 0) throw new YoreError("damaged", `There were ${errors} errors`);
      return undefined;
    }),
  );
}

/** @returns bytes written */
async function dumpToFile(path: string, dump: (sink: Sink) => Promise<void>): Promise<number> {
  const failed = (cause: unknown) =>
    new YoreError(isFull(cause) ? "no-space" : "backend", `Cannot write "${path}": ${messageOf(cause)}`, {
      cause,
    });
  const file = await open(systemPath(path), "w", 0o600).catch((error: unknown) => {
    throw failed(error);
  });
  const stream = file.createWriteStream();
  const output = new Output(stream);
  let total = 0;
  try {
    await dump((bytes) => {
      if (output.failure) throw failed(output.failure);
      total += bytes.length;
      return output.pass(bytes);
    });
    await output.flush();
    if (output.failure) throw failed(output.failure);
    await finished(stream.end()).catch((error: unknown) => {
      throw failed(error);
    });
  } finally {
    stream.destroy();
  }
  return total;
}
