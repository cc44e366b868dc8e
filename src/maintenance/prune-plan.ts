/**
 * Decides what a prune does, as restic decides it:
 *
 * 1. packs of which nothing is used go;
 * 2. packs that hold trees beside file content, or trees that nobody uses, or something that should be compressed and is
 *    not, are repacked: what is used of them moves to new packs;
 * 3. so are small packs, when there are enough of them;
 * 4. and then those with the most waste, until what is left of it can be borne.
 */

import { append } from "../bytes/append.js";
import { type Id, idKey } from "../bytes/id.js";
import { DamagedError, throwIfAborted, UsageError, YoreError } from "../errors.js";
import { countTrees } from "../repository/count-trees.js";
import type { Repository } from "../repository/repository.js";
import { listSnapshots } from "../repository/snapshots.js";
import { DATA, MIXED, NOTHING, PackUsage, TREES } from "./pack-usage.js";
import {
  DEFAULT_MAX_UNUSED,
  type MaxUnused,
  type PruneEvent,
  type PruneOptions,
  type PrunePlan,
  type PruneProgress,
  type PruneStatistics,
} from "./prune-options.js";
import { findUsedBlobs, type MissingBlob } from "./used-blobs.js";

/** Fewer small packs than this are not worth the trouble, and a single one would be repacked for ever. */
const MIN_SMALL_PACKS = 10;
/** A pack is small below this part of what is usual in the repository, */
const SMALL_PART = 0.8;
/** which is this size, or that of the pack that so many percent of all are smaller than. */
const LEAST_USUAL_BYTES = 4 * 1024 * 1024;
const USUAL_PERCENTILE = 3;

/** A plan with all that it takes to carry it out. */
export interface DetailedPlan extends PrunePlan {
  /** By pack number of the index: 0 stays, 1 is repacked, 2 goes. */
  readonly fate: Uint8Array;
  /** By entry of the index: 1 for those that move to a new pack. */
  readonly entriesToCopy: Uint8Array | undefined;
}

/** Tells the plan where it is. */
export interface PlanWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress: PruneProgress;
  readonly enter: (phase: PruneProgress["phase"], total: number) => void;
  readonly on: (event: PruneEvent) => void;
}

/**
 * Makes the plan. The index must be loaded whole, and pinned.
 *
 * @throws {DamagedError} if something that is used is missing, or a pack is not as the index says: whoever goes on then
 * may lose more
 */
export async function planPrune(
  repository: Repository,
  options: PruneOptions,
  watch: PlanWatch,
): Promise<DetailedPlan> {
  const marks = await markUsed(repository, options, watch);
  const { index } = repository;
  watch.enter("packs", 0);
  const statistics = newStatistics();
  const sizes = new Float64Array(index.packEnd).fill(-1);
  const allSizes: number[] = [];
  const unreferencedPacks: Id[] = [];
  const addUnreferenced = (id: Id, size: number) => {
    unreferencedPacks.push(id);
    statistics.bytes.unreferenced += size;
  };
  for await (const { id, size } of repository.listFiles("pack")) {
    throwIfAborted(watch.signal);
    watch.progress.done++;
    allSizes.push(size);
    const pack = index.packNumber(id);
    if (pack !== undefined) sizes[pack] = size;
    else addUnreferenced(id, size);
  }
  const isThere = Uint8Array.from(sizes, (size) => (size < 0 ? 0 : 1));
  const usage = new PackUsage(index, marks, isThere, statistics);
  if (usage.neededMissing.length > 0) throw new MissingPacksError(usage.neededMissing);
  // Listed, but with no blob in it.
  for (const [pack, size] of sizes.entries())
    if (size >= 0 && usage.types[pack] === NOTHING) addUnreferenced(index.packId(pack), size);
  // Whatever the order of the listing, the same repository gives the same plan.
  unreferencedPacks.sort(Buffer.compare);
  const choice = new PackChoice(repository, options, usage, statistics, smallPackBytes(options, allSizes));
  choice.run(sizes);
  statistics.packs.unreferenced = unreferencedPacks.length;
  const entriesToCopy = choice.repack.length > 0 ? usage.entriesToCopy(choice.fate) : undefined;
  const ids = (packs: readonly number[]) => packs.map((pack) => index.packId(pack));
  return {
    statistics,
    unreferencedPacks,
    repackPacks: ids(choice.repack),
    removePacks: ids(choice.remove),
    missingPacks: ids(choice.missing),
    fate: choice.fate,
    entriesToCopy,
  };
}

async function markUsed(
  repository: Repository,
  options: PruneOptions,
  watch: PlanWatch,
): Promise<Uint8Array> {
  const { signal, progress } = watch;
  const ignored = new Set((options.ignoreSnapshots ?? []).map(idKey));
  // One that cannot be read fails the prune: whatever it needs would be lost.
  const all = await listSnapshots(repository, undefined, { signal });
  const snapshots = all.filter(({ id }) => !ignored.has(idKey(id)));
  const trees = snapshots.map(({ tree }) => tree);
  progress.treesTotal = countTrees(repository, snapshots);
  watch.enter("snapshots", trees.length);
  const { marks, missing } = await findUsedBlobs(repository, trees, {
    signal,
    onRoot: () => {
      progress.done++;
    },
    onTree: () => {
      progress.trees++;
    },
  });
  if (missing.length > 0) throw new MissingBlobsError(missing);
  return marks;
}

/** Snapshots need blobs that no index file knows. */
export class MissingBlobsError extends YoreError {
  readonly blobs: readonly MissingBlob[];

  constructor(blobs: readonly MissingBlob[]) {
    super("damaged", "index is not complete", {
      hint: "`yore repair index` takes up packs that no index file lists; `yore repair snapshots` lets the snapshots do without what is lost",
    });
    this.blobs = blobs;
  }
}

/** Packs that are needed are not there. */
export class MissingPacksError extends YoreError {
  readonly packs: readonly Id[];

  constructor(packs: readonly Id[]) {
    super("damaged", "packs from index missing in repo", {
      hint: "`yore repair index` takes them out of the index, then `yore repair snapshots` lets the snapshots do without them",
    });
    this.packs = packs;
  }
}

/** A pack that is needed has another size than the index says. */
export class PackSizeError extends DamagedError {
  readonly packId: Id;
  readonly expected: number;
  readonly found: number;

  constructor(packId: Id, expected: number, found: number) {
    super("pack size does not match calculated size from index", {
      hint: "`yore repair index` looks at the pack and takes up what is in it. If it still differs then, the pack is damaged: `yore check` says how to take it apart",
    });
    this.packId = packId;
    this.expected = expected;
    this.found = found;
  }
}

/** Packs with fewer bytes are small. */
function smallPackBytes({ repackSmallerThanBytes }: PruneOptions, sizes: number[]): number {
  if (repackSmallerThanBytes) return repackSmallerThanBytes;
  sizes.sort((a, b) => a - b);
  const usual = sizes[Math.floor((sizes.length * USUAL_PERCENTILE) / 100)] ?? 0;
  return Math.floor(SMALL_PART * Math.max(LEAST_USUAL_BYTES, usual));
}

/** How many bytes that nobody uses may stay. */
export function unusedLimit(maxUnused: MaxUnused, usedBytes: number): number {
  switch (maxUnused.kind) {
    case "unlimited":
      return Number.POSITIVE_INFINITY;
    case "bytes":
      return maxUnused.bytes;
    case "percent":
      return Math.floor((maxUnused.percent / (100 - maxUnused.percent)) * usedBytes);
  }
}

/** Sorts packs into those that stay, are repacked, and go. */
class PackChoice {
  readonly repack: number[] = [];
  readonly remove: number[] = [];
  readonly missing: number[] = [];
  /** By pack number: 0 stays, 1 is repacked, 2 goes. */
  readonly fate: Uint8Array;
  readonly #repository: Repository;
  readonly #options: PruneOptions;
  readonly #usage: PackUsage;
  readonly #statistics: PruneStatistics;
  readonly #smallBytes: number;
  readonly #mustCompress: Uint8Array;

  constructor(
    repository: Repository,
    options: PruneOptions,
    usage: PackUsage,
    statistics: PruneStatistics,
    smallBytes: number,
  ) {
    this.#repository = repository;
    this.#options = options;
    this.#usage = usage;
    this.#statistics = statistics;
    this.#smallBytes = smallBytes;
    this.fate = new Uint8Array(repository.index.packEnd);
    this.#mustCompress = new Uint8Array(repository.index.packEnd);
  }

  /** @param sizes by pack number, -1 for packs that are not there */
  run(sizes: Float64Array): void {
    const usage = this.#usage;
    const { packs } = this.#statistics;
    const candidates: number[] = [];
    const small: number[] = [];
    for (const [pack, size] of sizes.entries()) {
      if (usage.types[pack] === NOTHING) continue;
      this.#requireSize(pack, size);
      this.#countPack(pack, size);
      if (usage.usedBlobs[pack] === 0) this.#drop(pack, size);
      else if (this.#options.repackCacheableOnly && usage.types[pack] === DATA) packs.keep++;
      else if (this.#isWellFilled(pack)) {
        if (size < this.#smallBytes) small.push(pack);
        else packs.keep++;
      } else candidates.push(pack);
    }
    if (small.length >= MIN_SMALL_PACKS) append(candidates, small);
    else packs.keep += small.length;
    this.#chooseRepack(candidates);
    if (this.#repository.config.version === 1) this.#statistics.bytes.uncompressed = 0;
  }

  #requireSize(pack: number, size: number): void {
    const expected = this.#usage.size(pack);
    if (size >= 0 && size !== expected && this.#usage.usedBlobs[pack]! > 0)
      throw new PackSizeError(this.#repository.index.packId(pack), expected, size);
  }

  #countPack(pack: number, size: number): void {
    const usage = this.#usage;
    if (size < 0) return;
    const { packs, bytes } = this.#statistics;
    if (usage.usedBlobs[pack] === 0) packs.unused++;
    else if (usage.unusedBlobs[pack] === 0) packs.used++;
    else packs.partlyUsed++;
    if (usage.uncompressed[pack] === 1) bytes.uncompressed += usage.size(pack);
    const isTree = usage.types[pack] === TREES;
    const shouldBeCompressed =
      this.#repository.config.version >= 2 && (isTree || this.#options.repackUncompressed === true);
    if (shouldBeCompressed && usage.uncompressed[pack] === 1) this.#mustCompress[pack] = 1;
  }

  #isWellFilled(pack: number): boolean {
    const usage = this.#usage;
    return usage.unusedBlobs[pack] === 0 && usage.types[pack] !== MIXED && this.#mustCompress[pack] === 0;
  }

  #drop(pack: number, size: number): void {
    const { blobs, bytes, packs } = this.#statistics;
    this.fate[pack] = 2;
    blobs.remove += this.#usage.unusedBlobs[pack]!;
    bytes.remove += this.#usage.unusedBytes[pack]!;
    if (size < 0) {
      this.missing.push(pack);
    } else {
      this.remove.push(pack);
      packs.remove++;
    }
  }

  /** Packs with trees come first, then the small ones, then those with the most waste. */
  #chooseRepack(candidates: number[]): void {
    const usage = this.#usage;
    const { bytes, packs } = this.#statistics;
    const rank = (pack: number) => {
      if (usage.types[pack] !== DATA) return 0;
      return usage.size(pack) < this.#smallBytes ? 1 : 2;
    };
    const waste = (pack: number) => usage.unusedBytes[pack]! / usage.usedBytes[pack]!;
    candidates.sort((a, b) => rank(a) - rank(b) || waste(b) - waste(a));
    const limit = unusedLimit(this.#options.maxUnused ?? DEFAULT_MAX_UNUSED, bytes.used);
    // Without an index there would be nobody to find again what was repacked.
    const maxBytes = this.#options.removeIndexFirst ? 0 : (this.#options.maxRepackBytes ?? Infinity);
    for (const pack of candidates) {
      const unusedLeft = bytes.duplicate + bytes.unused - bytes.remove - bytes.repackRemove;
      const isBearable = unusedLeft < limit && rank(pack) === 2 && this.#mustCompress[pack] === 0;
      if (bytes.repack + usage.size(pack) >= maxBytes || isBearable) packs.keep++;
      else this.#addRepack(pack);
    }
  }

  #addRepack(pack: number): void {
    const usage = this.#usage;
    const { blobs, bytes, packs } = this.#statistics;
    this.fate[pack] = 1;
    this.repack.push(pack);
    packs.repack++;
    blobs.repack += usage.usedBlobs[pack]! + usage.unusedBlobs[pack]!;
    bytes.repack += usage.size(pack);
    blobs.repackRemove += usage.unusedBlobs[pack]!;
    bytes.repackRemove += usage.unusedBytes[pack]!;
    if (usage.uncompressed[pack] === 1) bytes.uncompressed -= usage.size(pack);
  }
}

function newStatistics(): PruneStatistics {
  return {
    blobs: { used: 0, duplicate: 0, unused: 0, repack: 0, repackRemove: 0, remove: 0 },
    bytes: {
      used: 0,
      duplicate: 0,
      unused: 0,
      unreferenced: 0,
      uncompressed: 0,
      repack: 0,
      repackRemove: 0,
      remove: 0,
    },
    packs: { used: 0, partlyUsed: 0, unused: 0, unreferenced: 0, keep: 0, repack: 0, remove: 0 },
  };
}

/** @throws {UsageError} for what makes no sense with this repository */
export function checkPruneOptions(repository: Repository, options: PruneOptions): void {
  if (repository.config.version === 1 && options.repackUncompressed)
    throw new UsageError("compression requires at least repository format version 2");
  if (options.repackUncompressed && repository.compression === "off")
    throw new UsageError("disabled compression and `--repack-uncompressed` are mutually exclusive");
  if ((options.repackSmallerThanBytes ?? 0) > repository.packSizeBytes)
    throw new UsageError("repack-smaller-than exceeds repository packsize");
}
