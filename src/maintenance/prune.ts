/**
 * Removes what no snapshot needs. Everything new is saved before anything old is removed:
 *
 * 1. packs that no index file lists are removed: nobody can find what is in them;
 * 2. what is used of the packs that are repacked is copied to new packs, and index files that list these are saved;
 * 3. index files without the packs that go are saved, and the old ones removed;
 * 4. the packs that go are removed.
 *
 * Whatever stops it on the way, the repository is whole: at worst a blob is there twice, or a pack is not listed, and the
 * next prune sees to that.
 */

import type { Id } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { Repository } from "../repository/repository.js";
import {
  newPruneProgress,
  type PruneOptions,
  type PruneProgress,
  type PruneResult,
  type PruneWatch,
} from "./prune-options.js";
import { checkPruneOptions, type DetailedPlan, planPrune } from "./prune-plan.js";
import { repack } from "./repack.js";
import { removeFiles, rewriteIndex, saveIndexFiles } from "./rewrite-index.js";
import { requireWholeIndex } from "./whole-index.js";

/** What a writer left behind is older than this, in milliseconds: nobody keeps a pack half written for so long. */
const LEFTOVER_AGE_MS = 60 * 60 * 1000;

/**
 * Prunes a repository. The caller holds the exclusive lock, unless it is a dry run.
 *
 * @throws {UsageError} for options that make no sense here
 * @throws {DamagedError} before anything is changed, if something that a snapshot needs is missing or cannot be read
 */
export async function pruneRepository(
  repository: Repository,
  options: PruneOptions = {},
  watch: PruneWatch = {},
): Promise<PruneResult> {
  checkPruneOptions(repository, options);
  return new PruneRun(repository, options, watch).run();
}

class PruneRun {
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #watch: PruneWatch;
  readonly #signal: AbortSignal | undefined;
  readonly #progress: PruneProgress;
  #notRemoved = 0;

  constructor(repository: Repository, options: PruneOptions, watch: PruneWatch) {
    this.#repository = repository;
    this.#options = options;
    this.#watch = watch;
    this.#signal = watch.signal;
    this.#progress = watch.progress ?? newPruneProgress();
  }

  async run(): Promise<PruneResult> {
    await this.#loadIndex();
    const unpin = this.#repository.index.pin();
    try {
      const plan = await planPrune(this.#repository, this.#options, {
        signal: this.#signal,
        progress: this.#progress,
        enter: (phase, total) => this.#enter(phase, total),
        on: (event) => this.#watch.on?.(event),
      });
      this.#watch.on?.({ type: "plan", plan });
      if (!this.#options.dryRun) await this.#execute(plan);
      this.#enter("done", 0);
      return { statistics: plan.statistics, notRemoved: this.#notRemoved };
    } finally {
      unpin();
    }
  }

  /** All of it: a pack that only an unreadable index file lists would look like one that nobody needs. */
  async #loadIndex(): Promise<void> {
    this.#enter("index", 0);
    const { index: progress } = this.#progress;
    await this.#repository.loadIndex({ progress, ...(this.#signal ? { signal: this.#signal } : {}) });
    requireWholeIndex(this.#repository);
  }

  async #execute(plan: DetailedPlan): Promise<void> {
    await this.#removeLeftovers();
    await this.#removePacks("remove-unreferenced", plan.unreferencedPacks, this.#signal);
    await this.#repack(plan);
    if (this.#options.removeIndexFirst) {
      await this.#removeIndexFirst(plan);
      return;
    }
    await this.#rewriteIndex(plan);
    await this.#removePacks("remove-packs", [...plan.removePacks, ...plan.repackPacks], this.#signal);
  }

  async #removeLeftovers(): Promise<void> {
    const removed = await this.#repository.backend.removeLeftovers?.(LEFTOVER_AGE_MS);
    if (removed && removed.files > 0) this.#watch.on?.({ type: "leftovers", ...removed });
  }

  async #repack({ repackPacks, entriesToCopy, fate }: DetailedPlan): Promise<void> {
    if (!entriesToCopy) return;
    this.#enter("repack", repackPacks.length);
    const { index } = this.#repository;
    const chosen = {
      pack: (pack: number) => fate[pack] === 1,
      entry: (entry: number) => entriesToCopy[entry] === 1,
    };
    for (const [entry, isChosen] of entriesToCopy.entries())
      if (isChosen === 1) this.#progress.bytesTotal += index.lengthOf(entry);
    await repack(this.#repository, index.packs(chosen), {
      signal: this.#signal,
      onPack: ({ blobs }) => {
        this.#progress.done++;
        for (const { length } of blobs) this.#progress.bytes += length;
      },
    });
    this.#requireCopies(entriesToCopy, fate);
  }

  /** What is about to be removed must be somewhere else by now. */
  #requireCopies(entriesToCopy: Uint8Array, fate: Uint8Array): void {
    const { index } = this.#repository;
    for (const [entry, isChosen] of entriesToCopy.entries()) {
      if (isChosen === 0) continue;
      const { type, id } = index.blobOf(entry);
      // Packs with higher numbers came after the plan.
      const isSafe = index.lookupAll(type, id).some(({ packId }) => !fate[index.packNumber(packId)!]);
      if (!isSafe) throw new Error(`blob ${Buffer.from(id).toString("hex")} was not repacked`);
    }
  }

  async #rewriteIndex({ fate }: DetailedPlan): Promise<void> {
    throwIfAborted(this.#signal);
    await rewriteIndex(this.#repository, (pack) => fate[pack]! > 0, {
      signal: this.#signal,
      onSaving: (files) => this.#enter("rewrite-index", files),
      onSaved: () => {
        this.#progress.done = Math.min(this.#progress.total, this.#progress.done + 1);
      },
      onRemoving: (files) => this.#enter("remove-index", files),
      onRemoved: (id) => this.#removed("index", id),
    });
  }

  /**
   * For a full disk: there is no room for new index files before the old ones and the packs are gone. From here on nothing
   * must stop it, so it hears no signal.
   */
  async #removeIndexFirst(plan: DetailedPlan): Promise<void> {
    const { index, indexIds } = this.#repository;
    const isKept = new Uint8Array(index.packEnd);
    for (const id of indexIds)
      for (const pack of this.#repository.packsOfIndexFile(id) ?? [])
        if (plan.fate[pack] === 0) isKept[pack] = 1;
    const kept = Array.from(isKept.keys()).filter((pack) => isKept[pack] === 1);
    // Keeps them in memory while no file lists them.
    for (const pack of kept) index.retain(index.packId(pack));
    this.#enter("remove-index", indexIds.length);
    const onRemoved = (id: Id) => this.#removed("index", id);
    await removeFiles(this.#repository, "index", indexIds, { onRemoved });
    await this.#removePacks("remove-packs", plan.removePacks, undefined);
    this.#note("rewrite-index", 0);
    try {
      await saveIndexFiles(this.#repository, index.packs({ pack: (pack) => isKept[pack] === 1 }));
    } catch (error) {
      if (!(error instanceof YoreError)) throw error;
      throw new YoreError(error.code, error.message, {
        cause: error,
        hint: "The repository has no index now: `yore repair index` makes one",
      });
    }
    index.release(kept);
  }

  async #removePacks(
    phase: "remove-unreferenced" | "remove-packs",
    ids: readonly Id[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    throwIfAborted(signal);
    if (ids.length === 0) return;
    this.#note(phase, ids.length);
    await removeFiles(this.#repository, "pack", ids, {
      signal,
      onRemoved: (id) => this.#removed("pack", id),
      onFailed: (id, error) => {
        this.#notRemoved++;
        this.#watch.on?.({ type: "not-removed", file: "pack", id, error });
      },
    });
  }

  #removed(file: "pack" | "index", id: Id): void {
    this.#progress.done++;
    this.#watch.on?.({ type: "removed", file, id });
  }

  #enter(phase: PruneProgress["phase"], total: number): void {
    throwIfAborted(this.#signal);
    this.#note(phase, total);
  }

  #note(phase: PruneProgress["phase"], total: number): void {
    Object.assign(this.#progress, { phase, done: 0, total });
    this.#watch.on?.({ type: "phase", phase, total });
  }
}
