import {
  type BackupEvent,
  type BackupProgress,
  type BackupSummary,
  displayPath,
  type ItemEvent,
  type PreparedBackup,
  streamPath,
} from "../commands/backup.js";
import { messageOf } from "../errors.js";
import { summaryMembers } from "../format/snapshot.js";
import type { CommandContext } from "./command-context.js";
import { terminalText } from "./terminal-text.js";
import { formatBytes, formatDuration, formatPercent } from "./units.js";

/** What a backup says, as text and as JSON, in restic's words and shapes. */
export class BackupReport {
  readonly #context: CommandContext;
  readonly #progress: BackupProgress;
  readonly #prepared: PreparedBackup;
  readonly #targets: string;

  constructor(context: CommandContext, progress: BackupProgress, prepared: PreparedBackup) {
    this.#context = context;
    this.#progress = progress;
    this.#prepared = prepared;
    const { stream, options } = prepared;
    const targets = stream ? [displayPath(streamPath(stream))] : options.targets.map(String);
    this.#targets = targets.map(terminalText).join(" ");
  }

  show(event: BackupEvent): void {
    const context = this.#context;
    const { json, verbosity } = context.global;
    switch (event.type) {
      case "parent":
        this.#begin(event.id);
        return;
      case "warning":
        context.warn(event.message);
        return;
      case "error":
        if (json) {
          const { during, item } = event;
          const message = messageOf(event.error);
          context.io.stderr.json({ message_type: "error", error: { message }, during, item });
        } else if (event.during === "archival" || verbosity >= 3) {
          const { item } = event;
          const message = messageOf(event.error);
          const text = terminalText(message.includes(item) ? message : `${item}: ${message}`);
          context.warn(event.during === "scan" ? `scan: ${text}` : `error: ${text}`);
        }
        return;
      case "estimated": {
        const { files, bytes, seconds } = event;
        const size = formatBytes(bytes);
        context.verbose(2, `scan finished in ${seconds.toFixed(3)}s: ${files} files, ${size}`);
        if (json && verbosity >= 2) context.json(verboseStatus("scan_finished", "", seconds, bytes, files));
        return;
      }
      case "item":
        if (json) context.json(itemStatus(event));
        else context.verbose(3, formatItem(event));
    }
  }

  #begin(parent: string | undefined): void {
    const context = this.#context;
    const { stream, options } = this.#prepared;
    if (parent) context.print(`using parent snapshot ${parent.slice(0, 8)}`);
    // Nobody looks for one for standard input.
    else if (!stream || stream.command) context.print("no parent snapshot found, will read all files");
    context.verbose(2, "load index files");
    if (stream) context.verbose(2, "read data from stdin");
    if (options.estimate) context.verbose(2, `start scan on [${this.#targets}]`);
    context.verbose(2, `start backup on [${this.#targets}]`);
  }

  /** The status line of `--json`. What is zero is left out, as restic leaves it out. */
  status(elapsedSeconds: number): Record<string, unknown> {
    const { filesDone, bytesDone, errors, totalFiles, totalBytes, totalsKnown, currentFiles } =
      this.#progress;
    const remaining = remainingSeconds(this.#progress, elapsedSeconds);
    return {
      message_type: "status",
      seconds_elapsed: Math.floor(elapsedSeconds) || undefined,
      seconds_remaining: remaining || undefined,
      percent_done: totalsKnown && totalBytes > 0 ? Math.min(1, bytesDone / totalBytes) : 0,
      total_files: totalFiles || undefined,
      files_done: filesDone || undefined,
      total_bytes: totalBytes || undefined,
      bytes_done: bytesDone || undefined,
      error_count: errors || undefined,
      current_files: currentFiles.size > 0 ? [...currentFiles].sort() : undefined,
    };
  }

  finish(summary: BackupSummary): void {
    const context = this.#context;
    if (context.global.json) {
      const { backup_start, backup_end, ...numbers } = summaryMembers(summary);
      context.json({
        message_type: "summary",
        ...numbers,
        total_duration: summary.seconds,
        backup_start,
        backup_end,
        snapshot_id: summary.snapshotId,
        dry_run: summary.dryRun || undefined,
      });
      return;
    }
    for (const line of formatSummary(summary, context.global.verbosity >= 2)) context.print(line);
  }
}

function formatSummary(summary: BackupSummary, detailed: boolean): string[] {
  const count = (value: number) => String(value).padStart(5);
  const row = (label: string, fresh: number, changed: number, unmodified: number) =>
    `${label}  ${count(fresh)} new, ${count(changed)} changed, ${count(unmodified)} unmodified`;
  const bytes = (value: number) => formatBytes(value).padEnd(5);
  const lines = [
    "",
    row("Files:     ", summary.filesNew, summary.filesChanged, summary.filesUnmodified),
    row("Dirs:      ", summary.dirsNew, summary.dirsChanged, summary.dirsUnmodified),
  ];
  if (detailed) {
    lines.push(
      `Data Blobs:  ${count(summary.dataBlobs)} new`,
      `Tree Blobs:  ${count(summary.treeBlobs)} new`,
    );
  }
  const verb = summary.dryRun ? "Would add" : "Added";
  lines.push(
    `${verb} to the repository: ${bytes(summary.dataAdded)} (${bytes(summary.dataAddedPacked)} stored)`,
    "",
    `processed ${summary.totalFilesProcessed} files, ${formatBytes(summary.totalBytesProcessed)} in ${formatDuration(summary.seconds)}`,
  );
  if (summary.snapshotId) lines.push(`snapshot ${summary.snapshotId.slice(0, 8)} saved`);
  else if (!summary.dryRun) lines.push("skipped creating snapshot");
  return lines;
}

function formatItem({ action, item, seconds, added }: ItemEvent): string {
  const name = terminalText(item);
  if (action === "unchanged") return `unchanged ${name}`;
  const data = `${formatBytes(added.dataBytes)} added, ${formatBytes(added.dataPackedBytes)} stored`;
  const tree = item.endsWith("/") ? `, ${formatBytes(added.treePackedBytes)} metadata` : "";
  return `${action.padEnd(9)} ${name}, saved in ${seconds.toFixed(3)}s (${data}${tree})`;
}

function itemStatus({ action, item, seconds, added }: ItemEvent): Record<string, unknown> {
  return {
    ...verboseStatus(action, item, seconds, added.dataBytes, 0),
    data_size_in_repo: added.dataPackedBytes,
    metadata_size: added.treeBytes,
    metadata_size_in_repo: added.treePackedBytes,
  };
}

function verboseStatus(action: string, item: string, seconds: number, bytes: number, files: number) {
  return {
    message_type: "verbose_status",
    action,
    item,
    duration: seconds,
    data_size: bytes,
    data_size_in_repo: 0,
    metadata_size: 0,
    metadata_size_in_repo: 0,
    total_files: files,
  };
}

/** What a terminal shows while a backup runs: one line of numbers, and the files being read below it. */
export function formatBackupProgress(progress: BackupProgress, elapsedSeconds: number): string[] {
  const { filesDone, bytesDone, errors, totalFiles, totalBytes, totalsKnown, currentFiles } = progress;
  const time = `[${formatDuration(elapsedSeconds)}]`;
  const done = `${filesDone} files, ${formatBytes(bytesDone)}`;
  const total = `total ${totalFiles} files ${formatBytes(totalBytes)}`;
  const line = !totalsKnown
    ? `${time} ${done}${totalFiles > 0 ? `, ${total}` : ""}, ${errors} errors`
    : `${time} ${formatPercent(bytesDone, totalBytes)}  ${filesDone} files ${formatBytes(bytesDone)}, ${total}, ${errors} errors${whatIsLeft(progress, elapsedSeconds)}`;
  return [line, ...[...currentFiles].sort().map(terminalText)];
}

/** Also when all is read, and 100 %: saving it may still take its time. */
function whatIsLeft(progress: BackupProgress, elapsedSeconds: number): string {
  if (progress.isSavingRest) return ", saving the last packs";
  const remaining = remainingSeconds(progress, elapsedSeconds);
  return remaining > 0 ? ` ETA ${formatDuration(remaining)}` : "";
}

/** By the bytes that are left at the mean speed so far; 0 as long as nothing is known. */
function remainingSeconds(
  { totalsKnown, totalBytes, bytesDone }: BackupProgress,
  elapsedSeconds: number,
): number {
  if (!totalsKnown || bytesDone === 0 || bytesDone >= totalBytes || elapsedSeconds < 1) return 0;
  return Math.ceil((elapsedSeconds * (totalBytes - bytesDone)) / bytesDone);
}
