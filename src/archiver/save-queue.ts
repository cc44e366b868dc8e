import { Semaphore } from "../async/semaphore.js";
import type { Id } from "../bytes/id.js";
import { interruptedError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { Arrival } from "./arrival.js";
import { type AddedBlobs, type BackupProgress, noBlobs } from "./backup-progress.js";
import type { BackupStatistics } from "./backup-statistics.js";
import { type BlobStore, countBlob } from "./blob-store.js";
import { ByteBudget } from "./byte-budget.js";
import type { ComingTree } from "./coming-tree.js";
import { SourceError } from "./content-saver.js";
import { type FileRecord, isGone } from "./file-record.js";
import { FileSaver } from "./file-saver.js";
import type { NodeBuilder } from "./node-builder.js";
import type { RawPath } from "./raw-path.js";
import type { Scanner } from "./scanner.js";

/** Content and bookkeeping of files under way; large files have the pool of segments besides. */
const FILES_BUDGET_BYTES = 48 * 1024 * 1024;
const FILE_OVERHEAD_BYTES = 96 * 1024;
const SMALL_FILE_BOUND_BYTES = 512 * 1024;
/** Directories whose walk is over and whose nodes have not all arrived. */
const DIRECTORIES_UNDER_WAY = 256;

/** An object: where it is found, and where it goes. */
export interface Place {
  /** Absolute path in the snapshot. */
  readonly inSnapshot: RawPath;
  /** As the system calls get it. */
  readonly path: RawPath;
  /** Last component in the snapshot. */
  readonly name: string;
}

/** What is to be saved, with all that was found out about it. */
export interface SelectedEntry {
  readonly place: Place;
  readonly record: FileRecord;
  /** The node at this place in the parent snapshot. */
  readonly previous: TreeNode | undefined;
}

/** A directory to be saved, whose node lacks nothing but the new tree. */
export interface ComingDirectory {
  readonly place: Place;
  readonly node: TreeNode;
  /** The node at this place in the parent snapshot. */
  readonly previous: TreeNode | undefined;
}

export interface SaveQueueOptions {
  readonly store: BlobStore;
  readonly scanner: Scanner;
  readonly nodes: NodeBuilder;
  readonly statistics: BackupStatistics;
  readonly progress: BackupProgress;
  /** Large files read at a time. */
  readonly readConcurrency: number;
  readonly signal: AbortSignal | undefined;
  /** An object could not be read; it is left out. */
  readonly onError: (path: RawPath, error: Error) => void;
}

/**
 * Saves files and trees behind the walk, so many at a time as its bounds let in: a caller waits until there
 * is room. It stops at the caller's signal and at the first failure of the repository; a source that cannot
 * be read is only reported.
 */
export class SaveQueue {
  readonly #options: SaveQueueOptions;
  readonly #files: FileSaver;
  readonly #budget = new ByteBudget(FILES_BUDGET_BYTES);
  readonly #directories = new Semaphore(DIRECTORIES_UNDER_WAY);
  readonly #stop = new AbortController();
  #underWay = 0;
  #wake: (() => void) | undefined;
  readonly #onAbort: () => void;

  constructor(options: SaveQueueOptions) {
    const { store, scanner, nodes, progress, readConcurrency, signal } = options;
    this.#options = options;
    this.#files = new FileSaver(store, scanner, nodes, progress, readConcurrency);
    this.#onAbort = () => this.stop(interruptedError(signal));
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Saves a file; the answer comes at once where there is room for it, and otherwise as soon as there is. */
  file(entry: SelectedEntry, startedAt: number): Arrival | Promise<Arrival> {
    const cost = FILE_OVERHEAD_BYTES + Math.min(entry.record.stat.size, SMALL_FILE_BOUND_BYTES);
    const begin = () => this.#follow(this.#saveFile(entry, startedAt), () => this.#budget.release(cost));
    return this.#budget.tryAcquire(cost) ? begin() : this.#budget.acquire(cost).then(begin);
  }

  async #saveFile(entry: SelectedEntry, startedAt: number): Promise<TreeNode | undefined> {
    const { place, record, previous } = entry;
    this.throwIfStopped();
    try {
      const job = { path: place.path, name: place.name, record };
      const { node, added } = await this.#files.save(job, this.#stop.signal);
      this.#options.statistics.file(place.inSnapshot, previous, node, added, startedAt);
      return node;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (!isGone(error.reason)) this.#options.onError(place.path, error.reason);
      return undefined;
    }
  }

  /** Saves the tree of a directory when its nodes have arrived; resolves as soon as there is room for it. */
  async directory(directory: ComingDirectory, coming: ComingTree, startedAt: number): Promise<Arrival> {
    await this.#directories.acquire();
    return this.#follow(this.#saveDirectory(directory, coming, startedAt), () => this.#directories.release());
  }

  async #saveDirectory(directory: ComingDirectory, coming: ComingTree, startedAt: number): Promise<TreeNode> {
    const { place, previous } = directory;
    const { id, added } = await this.tree(coming);
    const node = { ...directory.node, subtree: id };
    this.#options.statistics.directory(place.inSnapshot, previous, node, added, startedAt);
    return node;
  }

  /** Waits for the nodes of a tree and saves it. */
  async tree(coming: ComingTree): Promise<{ id: Id; added: AddedBlobs }> {
    const added = noBlobs();
    const saved = await this.#options.store.saveBlob("tree", await coming.finish());
    countBlob(added, "tree", saved);
    return { id: saved.id, added };
  }

  /** Takes nothing more on. Only the first reason counts: what fails later, fails because of it. */
  stop(reason: unknown): void {
    if (!this.#stop.signal.aborted) this.#stop.abort(reason);
  }

  throwIfStopped(): void {
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
  }

  /** Waits until nothing is under way any more; never throws. */
  async settle(): Promise<void> {
    while (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** @param done called when the work is over, however it went */
  #follow(work: Promise<TreeNode | undefined>, done: () => void): Arrival {
    const arrival = new Arrival();
    const end = () => {
      done();
      if (--this.#underWay === 0) this.#wake?.();
    };
    this.#underWay++;
    work.then(
      (node) => {
        arrival.arrive(node);
        end();
      },
      (error: unknown) => {
        this.stop(error);
        arrival.fail(error);
        end();
      },
    );
    return arrival;
  }
}
