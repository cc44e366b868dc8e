import type { Id } from "../bytes/id.js";
import type { YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { SnapshotFilter } from "../repository/snapshots.js";

/** Which packs are read as a whole. */
export type PackSubset =
  | { readonly kind: "all" }
  /** One of `groups` (at most 256) about equal parts, told by the first byte of the pack ID; counted from 1. */
  | { readonly kind: "group"; readonly group: number; readonly groups: number }
  /** Random packs, so many percent of their number, but at least one. */
  | { readonly kind: "percent"; readonly percent: number }
  /** Random packs, as many as make about so many bytes. */
  | { readonly kind: "bytes"; readonly bytes: number };

export interface CheckOptions {
  /** Packs whose content is read and verified; none when left out. */
  readonly readData?: PackSubset | undefined;
  /** Snapshots by ID or prefix, or "latest"; with the filter they say whose trees, and which packs, are looked at. */
  readonly snapshots?: readonly string[] | undefined;
  readonly filter?: SnapshotFilter | undefined;
  /** Also tell which blobs no snapshot uses; costs a byte of memory for each entry of the index. */
  readonly findUnused?: boolean | undefined;
}

/** Counters that a check keeps up to date and a renderer polls. */
export interface CheckProgress {
  phase: "index" | "packs" | "structure" | "data" | "done";
  indexFiles: number;
  indexFilesTotal: number;
  snapshots: number;
  snapshotsTotal: number;
  /** Trees seen so far, and the most that there can be. */
  trees: number;
  treesTotal: number;
  packs: number;
  packsTotal: number;
  bytes: number;
  bytesTotal: number;
}

export function newCheckProgress(): CheckProgress {
  return {
    phase: "index",
    indexFiles: 0,
    indexFilesTotal: 0,
    snapshots: 0,
    snapshotsTotal: 0,
    trees: 0,
    treesTotal: 0,
    packs: 0,
    packsTotal: 0,
    bytes: 0,
    bytesTotal: 0,
  };
}

/** A blob that cannot be had from a pack. */
export interface DamagedBlob {
  readonly type: BlobType;
  readonly id: Id;
  readonly reason: string;
}

/** Something that endangers data. */
export type CheckProblem =
  /** The password of a key that cannot be read may open nothing any more. */
  | { readonly kind: "key"; readonly id: Id; readonly error: YoreError }
  | { readonly kind: "index"; readonly id: Id; readonly error: YoreError }
  /** Two index files say different things about a pack. */
  | { readonly kind: "index-conflict"; readonly packId: Id; readonly indexes: readonly Id[] }
  | { readonly kind: "pack-missing"; readonly packId: Id }
  | { readonly kind: "pack-size"; readonly packId: Id; readonly expected: number; readonly found: number }
  /** The pack could not be read, so nothing is known of its content. */
  | { readonly kind: "pack-unreadable"; readonly packId: Id; readonly error: YoreError }
  /** What is in the pack is wrong. */
  | {
      readonly kind: "pack-data";
      readonly packId: Id;
      readonly blobs: readonly DamagedBlob[];
      readonly reasons: readonly string[];
    }
  | { readonly kind: "snapshot"; readonly id: Id; readonly error: YoreError }
  | {
      readonly kind: "tree";
      readonly id: Id;
      readonly reasons: readonly string[];
      /** Set when it could not be read. */
      readonly error?: YoreError;
    };

/** Something that costs room or time, and no data. */
export type CheckHint =
  | { readonly kind: "duplicate-pack"; readonly packId: Id; readonly indexes: readonly Id[] }
  | { readonly kind: "mixed-pack"; readonly packId: Id }
  | { readonly kind: "orphaned-pack"; readonly packId: Id; readonly size: number }
  | { readonly kind: "unused-blob"; readonly type: BlobType; readonly id: Id };

export type CheckEvent =
  | { readonly type: "phase"; readonly phase: CheckProgress["phase"] }
  | { readonly type: "hint"; readonly hint: CheckHint }
  | { readonly type: "problem"; readonly problem: CheckProblem }
  /** Before packs are read: how many of how many, and whether snapshots were chosen. */
  | {
      readonly type: "reading";
      readonly packs: number;
      readonly packsTotal: number;
      readonly bytes: number;
      readonly bytesTotal: number;
      readonly isFiltered: boolean;
    };

export interface CheckWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: CheckProgress | undefined;
  readonly on?: ((event: CheckEvent) => void) | undefined;
}

export interface CheckSummary {
  /** Counted as restic counts them: a tree counts once for each thing that is wrong with it. */
  readonly errors: number;
  /** How many of the errors are key files that cannot be read. */
  readonly keyErrors: number;
  /** Those of them that are not what was saved: their passwords open nothing any more. */
  readonly damagedKeys: readonly Id[];
  /** How many, but for keys, are of what could not be read, and may be whole: the store did not answer, or not as it should. */
  readonly unreadErrors: number;
  /** Packs that `repair packs` should take apart: there, but not whole. */
  readonly brokenPacks: readonly Id[];
  readonly suggestRepairIndex: boolean;
  readonly suggestPrune: boolean;
  /** Pack files that no index file lists. */
  readonly orphanedPacks: number;
  /** Set when the index could not be loaded, so that nothing else was looked at. */
  readonly stoppedAtIndex: boolean;
  readonly packsRead: number;
  readonly bytesRead: number;
  readonly unusedBlobs: number;
}
