import type { BackupProgress } from "./backup-progress.js";
import { isDirectory, isRegularFile, isUnreadable, type ScannedEntry } from "./file-record.js";
import { absoluteRaw, joinRaw, parentRaw, type RawPath } from "./raw-path.js";
import type { Scanner } from "./scan.js";
import type { Selection } from "./selection.js";
import type { TargetTree } from "./target-tree.js";

export interface EstimateOptions {
  readonly scanner: Scanner;
  readonly selection: Selection;
  readonly progress: BackupProgress;
  readonly workingFolder: RawPath;
  readonly signal: AbortSignal;
  readonly onError: (path: RawPath, error: Error) => void;
}

/**
 * Counts what a backup is going to read, beside the backup itself, so that progress can be shown as a part of
 * a whole. Stops silently when the signal fires: then the backup was faster.
 */
export async function estimate(targets: TargetTree, options: EstimateOptions): Promise<void> {
  await countTargets(targets, options);
  options.progress.totalsKnown = !options.signal.aborted;
}

async function countTargets(tree: TargetTree, options: EstimateOptions): Promise<void> {
  for (const child of tree.children.values()) {
    if (options.signal.aborted) return;
    if (child.path === undefined) await countTargets(child, options);
    else await countTarget(child.path, child.explicit, options);
  }
}

async function countTarget(path: RawPath, explicit: boolean, options: EstimateOptions): Promise<void> {
  const { scanner, selection } = options;
  const absolute = absoluteRaw(path, options.workingFolder);
  if (!explicit && selection.excludesPath(absolute)) return;
  const entry = await scanner.statPath(path);
  if (isUnreadable(entry)) return options.onError(absolute, entry.error);
  if (!explicit) {
    const parent = await scanner.statPath(parentRaw(absolute), { follow: true });
    const tags = await selection.tagsIn(parentRaw(absolute));
    const parentDevice = isUnreadable(parent) ? undefined : parent.stat.dev;
    if (selection.excludesObject(absolute, entry.stat, tags, parentDevice)) return;
  }
  await countEntry(absolute, entry, options);
}

async function countEntry(path: RawPath, entry: ScannedEntry, options: EstimateOptions): Promise<void> {
  const { scanner, selection, progress, signal } = options;
  if (isUnreadable(entry) || signal.aborted) return;
  if (isRegularFile(entry.stat)) {
    progress.totalFiles++;
    progress.totalBytes += entry.stat.size;
  }
  if (!isDirectory(entry.stat)) return;
  let children: ScannedEntry[];
  try {
    children = await scanner.scanDirectory(path, { attributes: false });
  } catch (error) {
    return options.onError(path, error as Error);
  }
  const tags = await selection.tagsIn(path);
  for (const child of children) {
    const childPath = joinRaw(path, child.name);
    if (isUnreadable(child) || selection.excludesPath(childPath)) continue;
    if (selection.excludesObject(childPath, child.stat, tags, entry.stat.dev)) continue;
    // Files need no turn of the event loop of their own.
    if (isDirectory(child.stat)) await countEntry(childPath, child, options);
    else if (isRegularFile(child.stat)) {
      progress.totalFiles++;
      progress.totalBytes += child.stat.size;
    }
  }
}
