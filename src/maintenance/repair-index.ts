/**
 * Makes the index say what there is: packs that no index file lists are read and listed, those that are not there are
 * left out, and index files that cannot be read go. The new index files are saved before an old one is removed; whatever
 * stops it, the next attempt comes to the same end.
 */

import { forEachConcurrently } from "../async/map-concurrently.js";
import { type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import { encodeIndexFile, type IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import { confirmThere } from "../repository/confirm-there.js";
import type { IndexProgress } from "../repository/index-files.js";
import type { Repository } from "../repository/repository.js";
import { chooseIndexFiles, IndexWriter, removeFiles } from "./rewrite-index.js";
import { sizedPacks } from "./sized-packs.js";

export interface RepairIndexOptions {
  /** Believe no index file, and read the list of blobs at the end of every pack; false when left out. */
  readonly readAllPacks?: boolean | undefined;
}

/** Counters that a repair keeps up to date and a renderer polls. */
export interface RepairIndexProgress {
  phase: "index" | "packs" | "read" | "save" | "remove" | "done";
  readonly index: IndexProgress;
  done: number;
  total: number;
}

export function newRepairIndexProgress(): RepairIndexProgress {
  return { phase: "index", index: { totalFiles: 0, loadedFiles: 0 }, done: 0, total: 0 };
}

export type RepairIndexEvent =
  | { readonly type: "phase"; readonly phase: RepairIndexProgress["phase"] }
  /** An index file that cannot be read will be removed. */
  | { readonly type: "damaged-index"; readonly id: Id; readonly error: YoreError }
  /** No index file lists the pack. */
  | { readonly type: "adding"; readonly packId: Id }
  /** The pack has another size than the index says. */
  | { readonly type: "reindexing"; readonly packId: Id; readonly expected: number; readonly found: number }
  | { readonly type: "missing"; readonly packId: Id }
  /** The list of blobs at the end of the pack cannot be read: the pack stays, and is not listed. */
  | { readonly type: "unreadable"; readonly packId: Id; readonly error: YoreError }
  | { readonly type: "removed"; readonly id: Id };

export interface RepairIndexWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RepairIndexProgress | undefined;
  readonly on?: ((event: RepairIndexEvent) => void) | undefined;
}

export interface RepairIndexResult {
  readonly damagedIndexes: number;
  readonly addedPacks: number;
  readonly reindexedPacks: number;
  readonly missingPacks: number;
  readonly unreadablePacks: number;
  readonly savedIndexes: number;
  readonly removedIndexes: number;
}

/** Repairs the index. The caller holds the exclusive lock. Nothing of the index is in memory afterwards. */
export async function repairIndex(
  repository: Repository,
  options: RepairIndexOptions = {},
  watch: RepairIndexWatch = {},
): Promise<RepairIndexResult> {
  return new IndexRepair(repository, options, watch).run();
}

interface ListedPack {
  readonly packId: Id;
  readonly size: number;
}

class IndexRepair {
  readonly #repository: Repository;
  readonly #options: RepairIndexOptions;
  readonly #watch: RepairIndexWatch;
  readonly #progress: RepairIndexProgress;
  /** Index files that go when all is said. */
  readonly #obsolete: Id[] = [];
  readonly #toRead: ListedPack[] = [];
  /** By pack number of the index: 1 for packs about which it is wrong. */
  #isWrong = new Uint8Array(0);
  readonly #counts = { damaged: 0, added: 0, reindexed: 0, missing: 0, unreadable: 0, saved: 0, removed: 0 };

  constructor(repository: Repository, options: RepairIndexOptions, watch: RepairIndexWatch) {
    this.#repository = repository;
    this.#options = options;
    this.#watch = watch;
    this.#progress = watch.progress ?? newRepairIndexProgress();
  }

  async run(): Promise<RepairIndexResult> {
    const { index } = this.#repository;
    try {
      if (this.#options.readAllPacks) await this.#startAfresh();
      else await this.#loadIndex();
      await this.#comparePacks();
      const replaced = chooseIndexFiles(this.#repository, (pack) => this.#isWrong[pack] === 1, {
        joinSmall: true,
      });
      const isReplaced = new Uint8Array(index.packEnd);
      for (const id of replaced)
        for (const pack of this.#repository.packsOfIndexFile(id) ?? []) isReplaced[pack] = 1;
      const good = (pack: number) => isReplaced[pack] === 1 && this.#isWrong[pack] === 0;
      await this.#save(index.packs({ pack: good }));
      await this.#remove([...this.#obsolete, ...replaced]);
    } finally {
      // It knows nothing of what was read, and too much of what is gone.
      this.#repository.unloadIndex();
    }
    this.#enter("done", 0);
    const counts = this.#counts;
    return {
      damagedIndexes: counts.damaged,
      addedPacks: counts.added,
      reindexedPacks: counts.reindexed,
      missingPacks: counts.missing,
      unreadablePacks: counts.unreadable,
      savedIndexes: counts.saved,
      removedIndexes: counts.removed,
    };
  }

  async #startAfresh(): Promise<void> {
    this.#repository.unloadIndex();
    for await (const { id } of this.#repository.listFiles("index")) this.#obsolete.push(id);
  }

  async #loadIndex(): Promise<void> {
    this.#enter("index", 0);
    const { signal } = this.#watch;
    const { index: progress } = this.#progress;
    await this.#repository.loadIndex({ progress, ...(signal ? { signal } : {}) });
    for (const { id, error } of this.#repository.indexProblems) {
      // What a disk that does not answer holds may be whole.
      if (error.code === "not-found") continue;
      if (error.code !== "damaged" && error.code !== "format") throw error;
      this.#counts.damaged++;
      this.#obsolete.push(id);
      this.#watch.on?.({ type: "damaged-index", id, error });
    }
  }

  /** Finds packs that have to be read, and those of the index that are not there. */
  async #comparePacks(): Promise<void> {
    this.#enter("packs", 0);
    const { index } = this.#repository;
    this.#isWrong = new Uint8Array(index.packEnd);
    const sizes = new Float64Array(index.packEnd).fill(-1);
    for (const { packId, size } of sizedPacks(index)) sizes[index.packNumber(packId)!] = size;
    const found = new Uint8Array(index.packEnd);
    for await (const { id, size } of this.#repository.listFiles("pack")) {
      throwIfAborted(this.#watch.signal);
      this.#progress.done++;
      this.#comparePack(id, size, sizes, found);
    }
    // All of the index would go.
    await confirmThere(this.#repository.backend, "packs");
    for (const [pack, size] of sizes.entries()) {
      if (size < 0 || found[pack] === 1) continue;
      this.#isWrong[pack] = 1;
      this.#counts.missing++;
      this.#watch.on?.({ type: "missing", packId: index.packId(pack) });
    }
  }

  #comparePack(packId: Id, size: number, sizes: Float64Array, found: Uint8Array): void {
    const pack = this.#repository.index.packNumber(packId);
    if (pack === undefined) {
      this.#toRead.push({ packId, size });
      this.#counts.added++;
      this.#watch.on?.({ type: "adding", packId });
      return;
    }
    found[pack] = 1;
    const expected = sizes[pack]!;
    if (expected === size) return;
    this.#isWrong[pack] = 1;
    this.#toRead.push({ packId, size });
    this.#counts.reindexed++;
    this.#watch.on?.({ type: "reindexing", packId, expected, found: size });
  }

  /** Saves what is known already and what is read now, in one go: a pack is in memory only until its file is full. */
  async #save(known: Iterable<IndexedPack>): Promise<void> {
    const { signal } = this.#watch;
    const writer = new IndexWriter(async (packs) => {
      throwIfAborted(signal);
      await this.#repository.saveFile("index", encodeIndexFile(packs));
      this.#counts.saved++;
    });
    if (this.#toRead.length > 0) {
      this.#enter("read", this.#toRead.length);
      await this.#readPacks((pack) => writer.add(pack));
    }
    this.#enter("save", 0);
    for (const pack of known) await writer.add(pack);
    await writer.finish();
  }

  async #readPacks(add: (pack: IndexedPack) => Promise<void>): Promise<void> {
    const { signal } = this.#watch;
    const readHeader = async ({ packId, size }: ListedPack): Promise<PackedBlob[] | undefined> => {
      try {
        return await this.#repository.readPackHeader(packId, size, signal);
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof YoreError) || error.code !== "damaged") throw error;
        this.#counts.unreadable++;
        this.#watch.on?.({ type: "unreadable", packId, error });
        return undefined;
      }
    };
    const read = async (pack: ListedPack) => {
      const blobs = await readHeader(pack);
      // What saving fails with, damage too, is no matter of the pack: nothing may be removed then.
      if (blobs) await add({ packId: pack.packId, blobs });
      this.#progress.done++;
    };
    await forEachConcurrently(this.#toRead, Math.max(4, this.#repository.backend.connections), read, signal);
  }

  async #remove(ids: readonly Id[]): Promise<void> {
    this.#enter("remove", ids.length);
    const unique = [...new Map(ids.map((id) => [idKey(id), id])).values()];
    await removeFiles(this.#repository, "index", unique, {
      signal: this.#watch.signal,
      onRemoved: (id) => {
        this.#progress.done++;
        this.#counts.removed++;
        this.#watch.on?.({ type: "removed", id });
      },
    });
  }

  #enter(phase: RepairIndexProgress["phase"], total: number): void {
    throwIfAborted(this.#watch.signal);
    Object.assign(this.#progress, { phase, done: 0, total });
    this.#watch.on?.({ type: "phase", phase });
  }
}
