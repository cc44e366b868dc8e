import type { Command } from "commander";
import { formatShortId } from "../../bytes/id.js";
import { READING } from "../../commands/ask-ahead.js";
import { type DiffSide, type DiffSummary, requireTwo, runDiff } from "../../commands/diff.js";
import { goJsonBytes } from "../../format/go-json.js";
import { action } from "../command-context.js";
import { EXIT_FAILURE, EXIT_SUCCESS, failureText } from "../exit-code.js";
import type { Io } from "../output.js";
import { terminalName } from "../terminal-text.js";
import { formatBytes } from "../units.js";

interface DiffFlags {
  readonly metadata?: boolean;
}

export function registerDiff(program: Command, io: Io): void {
  program
    .command("diff")
    .description("show what differs between two snapshots")
    .argument(
      "[snapshotID...]",
      'two snapshots: ID, beginning of an ID or "latest", ":folder" behind it for a folder',
    )
    .option("--metadata", "also show what differs in metadata only")
    .addHelpText(
      "after",
      "\nWhat the letters mean:\n  +  added        -  removed      T  another type\n  M  other content, M? although nothing else differs: the file may be damaged\n  U  other metadata\n",
    )
    .action(
      action<DiffFlags>(io, async (context, args, flags) => {
        const [source, target] = requireTwo(args);
        const { json } = context.global;
        const options = { source, target, metadata: flags.metadata === true };
        let code = EXIT_SUCCESS;
        const summary = await context.withSession({ lock: "shared", ahead: READING }, (session) =>
          runDiff(session, options, {
            onStart: (one, other) => {
              context.print(`comparing snapshot ${formatShortId(one.id)} to ${formatShortId(other.id)}:`);
              context.print();
            },
            onChange: ({ path, modifier }) =>
              io.stdout.write(json ? changeJson(path, modifier) : changeLine(path, modifier, io)),
            onError: (path, error) => {
              code = EXIT_FAILURE;
              const what = path ? `"${terminalName(path)}"` : "a directory that both have";
              context.problem(`Cannot compare ${what}: ${failureText(error)}`);
            },
          }),
        );
        if (json) context.json(summaryJson(source, target, summary));
        else for (const line of summaryLines(summary)) io.stdout.line(line);
        return code;
      }),
    );
}

function changeLine(path: Buffer, modifier: string, io: Io): Buffer {
  const name = io.stdout.isTTY ? Buffer.from(terminalName(path)) : path;
  return Buffer.concat([Buffer.from(modifier.padEnd(5)), name, NEWLINE]);
}

const NEWLINE = Buffer.from("\n");

function changeJson(path: Buffer, modifier: string): string {
  return `{"message_type":"change","path":${goJsonBytes(path)},"modifier":"${modifier}"}\n`;
}

function summaryJson(source: string, target: string, { changedFiles, added, removed }: DiffSummary): unknown {
  const side = ({ files, dirs, others, dataBlobs, treeBlobs, bytes }: DiffSide) => ({
    files,
    dirs,
    others,
    data_blobs: dataBlobs,
    tree_blobs: treeBlobs,
    bytes,
  });
  return {
    message_type: "statistics",
    source_snapshot: source,
    target_snapshot: target,
    changed_files: changedFiles,
    added: side(added),
    removed: side(removed),
  };
}

function summaryLines({ changedFiles, added, removed }: DiffSummary): string[] {
  const five = (count: number) => String(count).padStart(5);
  const line = (title: string, field: "files" | "dirs" | "others" | "dataBlobs" | "treeBlobs") =>
    `${`${title}:`.padEnd(12)} ${five(added[field])} new, ${five(removed[field])} removed`;
  return [
    "",
    `${line("Files", "files")}, ${five(changedFiles)} changed`,
    line("Dirs", "dirs"),
    line("Others", "others"),
    line("Data Blobs", "dataBlobs"),
    line("Tree Blobs", "treeBlobs"),
    `  Added:   ${formatBytes(added.bytes).padEnd(5)}`,
    `  Removed: ${formatBytes(removed.bytes).padEnd(5)}`,
  ];
}
