import { type Command, Option } from "commander";
import { READING } from "../../commands/ask-ahead.js";
import { runStats, STATS_MODES, type Stats, type StatsMode } from "../../commands/stats.js";
import { UsageError } from "../../errors.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { formatBytes } from "../units.js";

interface StatsFlags extends SnapshotFilterFlags {
  readonly mode: StatsMode;
}

export function registerStats(program: Command, io: Io): void {
  const command = program
    .command("stats")
    .description("count what snapshots hold")
    .argument("[snapshotID...]", 'IDs, beginnings of IDs, or "latest"; all snapshots when left out')
    .addOption(
      new Option("--mode <mode>", `what to count (${STATS_MODES.join("|")})`)
        .default("restore-size" satisfies StatsMode)
        .argParser(parseMode),
    )
    .addHelpText(
      "after",
      [
        "",
        "Modes:",
        "  restore-size       bytes that a restore of each snapshot would write",
        "  files-by-contents  files that differ in content",
        "  blobs-per-file     blobs of those files, each once a path",
        "  raw-data           blobs as they are stored, each once",
        "",
      ].join("\n"),
    );
  addSnapshotFilter(command);
  command.action(
    action<StatsFlags>(io, async (context, names, { mode, ...flags }) => {
      const filter = resolveSnapshotFilter(flags, io.env);
      context.print("scanning...");
      const stats = await context.withSession({ lock: "shared", ahead: READING }, async (session) => {
        const progress = { trees: 0, treesTotal: 0 };
        const { lines } = new PhaseView(() => ({
          phase: "trees",
          done: progress.trees,
          total: progress.treesTotal,
          what: "trees counted",
        }));
        const renderer = context.startProgress(lines);
        return runStats(
          session,
          { names, filter, mode },
          { progress, onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`) },
        ).finally(() => renderer.stop());
      });
      if (context.global.json) context.json(statsJson(stats));
      else for (const line of statsLines(mode, stats)) io.stdout.line(line);
      return undefined;
    }),
  );
}

function parseMode(text: string): StatsMode {
  const mode = STATS_MODES.find((one) => one === text);
  if (!mode)
    throw new UsageError(`unknown counting mode: ${text} (use the -h flag to get a list of supported modes)`);
  return mode;
}

interface Compression {
  /** How many times larger what is compressed would be. */
  readonly ratio: number;
  /** Percent of all that is compressed. */
  readonly progress: number;
  /** Percent that is saved. */
  readonly saving: number;
}

function compressionOf(stats: Stats): Compression {
  const { uncompressedSize, compressedBlobsSize, compressedBlobsUncompressedSize, totalSize } = stats;
  return {
    ratio: compressedBlobsSize > 0 ? compressedBlobsUncompressedSize / compressedBlobsSize : 0,
    progress: uncompressedSize > 0 ? (compressedBlobsUncompressedSize / uncompressedSize) * 100 : 0,
    saving: uncompressedSize > 0 ? (1 - totalSize / uncompressedSize) * 100 : 0,
  };
}

function statsJson(stats: Stats): unknown {
  const { ratio, progress, saving } = compressionOf(stats);
  return {
    total_size: stats.totalSize,
    total_uncompressed_size: stats.uncompressedSize || undefined,
    compression_ratio: ratio || undefined,
    compression_progress: progress || undefined,
    compression_space_saving: saving || undefined,
    total_file_count: stats.totalFiles || undefined,
    total_blob_count: stats.totalBlobs || undefined,
    snapshots_count: stats.snapshots,
  };
}

function statsLines(mode: StatsMode, stats: Stats): string[] {
  const { ratio, progress, saving } = compressionOf(stats);
  const line = (title: string, value: string | number) => `${`${title}:`.padStart(25)}  ${value}`;
  const optional = (title: string, value: number, text: string | number) =>
    value > 0 ? [line(title, text)] : [];
  return [
    `Stats in ${mode} mode:`,
    line("Snapshots processed", stats.snapshots),
    ...optional("Total Blob Count", stats.totalBlobs, stats.totalBlobs),
    ...optional("Total File Count", stats.totalFiles, stats.totalFiles),
    ...optional("Total Uncompressed Size", stats.uncompressedSize, formatBytes(stats.uncompressedSize)),
    line("Total Size", formatBytes(stats.totalSize).padEnd(5)),
    ...optional("Compression Progress", progress, `${progress.toFixed(2)}%`),
    ...optional("Compression Ratio", ratio, `${ratio.toFixed(2)}x`),
    ...optional("Compression Space Saving", saving, `${saving.toFixed(2)}%`),
  ];
}
