import type { TreeNode } from "../format/node.js";
import {
  type AddedBlobs,
  type BackupEvent,
  type BackupProgress,
  type ItemEvent,
  noBlobs,
} from "./backup-progress.js";
import { equalNodes } from "./node-builder.js";
import { displayPath, type RawPath } from "./raw-path.js";

interface Counts {
  new: number;
  modified: number;
  unchanged: number;
}

/**
 * Counts what a backup does, as restic's summary counts it: other objects than files and directories do not
 * appear.
 */
export class BackupStatistics {
  readonly files: Counts = { new: 0, modified: 0, unchanged: 0 };
  readonly dirs: Counts = { new: 0, modified: 0, unchanged: 0 };
  readonly added: AddedBlobs = noBlobs();
  processedBytes = 0;
  readonly #progress: BackupProgress;
  readonly #on: ((event: BackupEvent) => void) | undefined;

  /** @param on called for every item; leave it out when nobody listens */
  constructor(progress: BackupProgress, on: ((event: BackupEvent) => void) | undefined) {
    this.#progress = progress;
    this.#on = on;
  }

  /** @param startedAt `performance.now()` when its turn came */
  file(
    path: RawPath,
    previous: TreeNode | undefined,
    node: TreeNode,
    added: AddedBlobs,
    startedAt: number,
  ): void {
    this.#progress.filesDone++;
    this.processedBytes += node.size;
    this.#count(this.files, path, previous, node, added, startedAt);
  }

  directory(
    path: RawPath,
    previous: TreeNode | undefined,
    node: TreeNode,
    added: AddedBlobs,
    startedAt: number,
  ): void {
    this.#progress.dirsDone++;
    this.#count(this.dirs, `${path}/`, previous, node, added, startedAt);
  }

  /** Files that are as they were in the parent snapshot, seen all at once: nobody must listen to single ones. */
  unchangedFiles(count: number, bytes: number): void {
    this.#progress.filesDone += count;
    this.#progress.bytesDone += bytes;
    this.processedBytes += bytes;
    this.files.unchanged += count;
  }

  unchangedDirectory(): void {
    this.#progress.dirsDone++;
    this.dirs.unchanged++;
  }

  /** True when somebody listens to every item. */
  get reportsItems(): boolean {
    return this.#on !== undefined;
  }

  /** The blobs of the root tree belong to no item. */
  add(added: AddedBlobs): void {
    for (const key of Object.keys(added) as (keyof AddedBlobs)[]) this.added[key] += added[key];
  }

  #count(
    counts: Counts,
    path: string,
    previous: TreeNode | undefined,
    node: TreeNode,
    added: AddedBlobs,
    startedAt: number,
  ): void {
    this.add(added);
    const action: ItemEvent["action"] = !previous
      ? "new"
      : equalNodes(previous, node)
        ? "unchanged"
        : "modified";
    counts[action]++;
    if (!this.#on) return;
    const seconds = (performance.now() - startedAt) / 1000;
    this.#on({ type: "item", action, item: displayPath(path as RawPath), seconds, added });
  }
}
