import type { BackupProgress } from "./backup-progress.js";
import { type FileStat, isDirectory, isRegularFile, isUnreadable, type ScannedEntry } from "./file-record.js";
import { lookAhead } from "./look-ahead.js";
import { absoluteRaw, joinRaw, parentRaw, type RawPath } from "./raw-path.js";
import type { Scanner } from "./scanner.js";
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

/** Directories scanned at a time: the estimate must stay ahead of the backup that runs beside it. */
const CONCURRENT_DIRECTORIES = 8;

/**
 * Counts what a backup is going to read, beside the backup itself, so that progress can be shown as a part of a
 * whole. Stops silently when the signal fires: then the backup was faster.
 */
export async function estimate(targets: TargetTree, options: EstimateOptions): Promise<void> {
  const directories: Directory[] = [];
  const { scanner, selection } = options;
  const pathOf = ({ path, explicit }: TargetLeaf) =>
    explicit || !selection.excludesPath(absoluteRaw(path, options.workingFolder)) ? path : undefined;
  const leaves = [...leavesOf(targets)];
  for await (const [leaf, entry] of lookAhead(scanner, leaves, pathOf, { attributes: false })) {
    if (options.signal.aborted) return;
    if (entry) await countTarget(leaf, entry, directories, options);
  }
  const running = new Set<Promise<void>>();
  while ((directories.length > 0 || running.size > 0) && !options.signal.aborted) {
    while (directories.length > 0 && running.size < CONCURRENT_DIRECTORIES) {
      const work = countDirectory(directories.pop()!, directories, options).finally(() =>
        running.delete(work),
      );
      running.add(work);
    }
    await Promise.race(running);
  }
  await Promise.all(running);
  options.progress.totalsKnown = !options.signal.aborted;
}

/** A directory that is still to be looked into. */
interface Directory {
  readonly path: RawPath;
  readonly device: bigint;
}

type TargetLeaf = TargetTree & { path: RawPath };

function* leavesOf(tree: TargetTree): Iterable<TargetLeaf> {
  for (const child of tree.children.values()) {
    if (child.path === undefined) yield* leavesOf(child);
    else yield child as TargetLeaf;
  }
}

async function countTarget(
  { path, explicit }: TargetLeaf,
  entry: ScannedEntry,
  directories: Directory[],
  options: EstimateOptions,
): Promise<void> {
  const { scanner, selection } = options;
  const absolute = absoluteRaw(path, options.workingFolder);
  if (isUnreadable(entry)) return options.onError(absolute, entry.error);
  if (!explicit) {
    const parent = await scanner.statPath(parentRaw(absolute), { follow: true });
    const rules = await selection.rulesIn(parentRaw(absolute));
    const parentDevice = isUnreadable(parent) ? undefined : parent.stat.dev;
    if (selection.excludesObject(absolute, entry.stat, rules, parentDevice)) return;
    if (await selection.ignoresWayTo(absolute)) return;
  }
  countObject(absolute, entry.stat, directories, options.progress);
}

async function countDirectory(
  { path, device }: Directory,
  directories: Directory[],
  options: EstimateOptions,
): Promise<void> {
  const { scanner, selection, progress } = options;
  if (scanner.countDirectory && selection.takesAll(path)) {
    try {
      const counted = await scanner.countDirectory(path);
      progress.totalFiles += counted.files;
      progress.totalBytes += counted.bytes;
      for (const name of counted.directories) directories.push({ path: joinRaw(path, name), device });
    } catch (error) {
      options.onError(path, error as Error);
    }
    return;
  }
  let children: ScannedEntry[];
  try {
    children = await scanner.scanDirectory(path, { attributes: false });
  } catch (error) {
    return options.onError(path, error as Error);
  }
  const rules = await selection.rulesIn(path);
  for (const child of children) {
    const childPath = joinRaw(path, child.name);
    if (isUnreadable(child) || selection.excludesPath(childPath)) continue;
    if (!selection.excludesObject(childPath, child.stat, rules, device))
      countObject(childPath, child.stat, directories, progress);
  }
}

function countObject(
  path: RawPath,
  stat: FileStat,
  directories: Directory[],
  progress: BackupProgress,
): void {
  if (isDirectory(stat)) directories.push({ path, device: stat.dev });
  if (!isRegularFile(stat)) return;
  progress.totalFiles++;
  progress.totalBytes += stat.size;
}
