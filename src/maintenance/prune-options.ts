import type { Id } from "../bytes/id.js";
import type { YoreError } from "../errors.js";
import type { IndexProgress } from "../repository/index-files.js";

/** How much that nobody uses may stay, because to move what lies around it costs more than it gains. */
export type MaxUnused =
  | { readonly kind: "unlimited" }
  | { readonly kind: "bytes"; readonly bytes: number }
  /** Of everything that is there afterwards; from 0 to below 100. */
  | { readonly kind: "percent"; readonly percent: number };

export const DEFAULT_MAX_UNUSED: MaxUnused = { kind: "percent", percent: 5 };

export interface PruneOptions {
  /** Find out what would be done, and do nothing of it; false when left out. */
  readonly dryRun?: boolean | undefined;
  /** 5 % when left out. */
  readonly maxUnused?: MaxUnused | undefined;
  /** Stop choosing packs to repack when they come to so many bytes; no bound when left out. */
  readonly maxRepackBytes?: number | undefined;
  /** Leave packs of file content as they are, unless nothing in them is used; false when left out. */
  readonly repackCacheableOnly?: boolean | undefined;
  /** Repack all packs with a blob that is not compressed; false when left out. */
  readonly repackUncompressed?: boolean | undefined;
  /** Packs below this are small; what is usual in the repository decides when left out. */
  readonly repackSmallerThanBytes?: number | undefined;
  /**
   * For a disk that is so full that no index file can be saved: the index files are removed first and the new ones come
   * last. When that is interrupted, `repair index` has to follow. False when left out.
   */
  readonly removeIndexFirst?: boolean | undefined;
  /** Snapshots that count as gone already: what a dry run of `forget` would remove. */
  readonly ignoreSnapshots?: readonly Id[] | undefined;
}

/** What a prune found and decided, in restic's terms. Blobs and packs are numbers, `bytes` are bytes as stored. */
export interface PruneStatistics {
  readonly blobs: {
    used: number;
    duplicate: number;
    unused: number;
    repack: number;
    repackRemove: number;
    remove: number;
  };
  readonly bytes: {
    used: number;
    duplicate: number;
    unused: number;
    /** In packs that no index file lists. */
    unreferenced: number;
    /** In packs that stay and hold something that is not compressed. */
    uncompressed: number;
    repack: number;
    repackRemove: number;
    remove: number;
  };
  readonly packs: {
    used: number;
    partlyUsed: number;
    unused: number;
    unreferenced: number;
    keep: number;
    repack: number;
    remove: number;
  };
}

/** What a prune does, step by step. */
export interface PrunePlan {
  readonly statistics: PruneStatistics;
  /** Packs that no index file lists: what interrupted writers left behind. */
  readonly unreferencedPacks: readonly Id[];
  readonly repackPacks: readonly Id[];
  /** Packs of which nothing is used. */
  readonly removePacks: readonly Id[];
  /** Packs that the index lists and that are not there, of which nothing is used. */
  readonly missingPacks: readonly Id[];
}

/** Counters that a prune keeps up to date and a renderer polls. */
export interface PruneProgress {
  phase:
    | "index"
    | "snapshots"
    | "packs"
    | "remove-unreferenced"
    | "repack"
    | "rewrite-index"
    | "remove-index"
    | "remove-packs"
    | "done";
  /** Index files, while they are loaded. */
  readonly index: IndexProgress;
  /** Of what the phase is about: snapshots, packs, index files. */
  done: number;
  total: number;
  /** Of packs, while they are repacked. */
  bytes: number;
  bytesTotal: number;
  /** Trees read, while snapshots are walked, and the most that there can be. */
  trees: number;
  treesTotal: number;
}

export function newPruneProgress(): PruneProgress {
  return {
    phase: "index",
    index: { totalFiles: 0, loadedFiles: 0 },
    done: 0,
    total: 0,
    bytes: 0,
    bytesTotal: 0,
    trees: 0,
    treesTotal: 0,
  };
}

export type PruneEvent =
  | { readonly type: "phase"; readonly phase: PruneProgress["phase"]; readonly total: number }
  /** Before anything is changed. */
  | { readonly type: "plan"; readonly plan: PrunePlan }
  | { readonly type: "removed"; readonly file: "pack" | "index"; readonly id: Id }
  /** The file stays; nothing needs it. */
  | {
      readonly type: "not-removed";
      readonly file: "pack" | "index";
      readonly id: Id;
      readonly error: YoreError;
    }
  /** What killed writers left beside the files of the repository was removed. */
  | { readonly type: "leftovers"; readonly files: number; readonly bytes: number };

export interface PruneWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: PruneProgress | undefined;
  readonly on?: ((event: PruneEvent) => void) | undefined;
}

export interface PruneResult {
  readonly statistics: PruneStatistics;
  /** Files that could not be removed: they cost room and nothing else. */
  readonly notRemoved: number;
}
