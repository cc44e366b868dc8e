import type { SnapshotSummary } from "../format/snapshot.js";

/** Counters that a renderer polls while a backup runs. */
export class BackupProgress {
  filesDone = 0;
  dirsDone = 0;
  /** Bytes of file content read, or known to be unchanged. */
  bytesDone = 0;
  errors = 0;
  /** What is expected, growing while the estimate runs. */
  totalFiles = 0;
  totalBytes = 0;
  /** True when the totals are complete; stays false without the estimate. */
  totalsKnown = false;
  /** True when everything is read, and what is not in the repository yet is being saved: packs, index, snapshot. */
  isSavingRest = false;
  /** Paths, as shown to people, of the large files being read and some of the small ones. */
  readonly currentFiles = new Set<string>();
}

/** What saving something added to the repository. */
export interface AddedBlobs {
  dataBlobs: number;
  /** Plaintext bytes. */
  dataBytes: number;
  /** Bytes in packs, headers included. */
  dataPackedBytes: number;
  treeBlobs: number;
  treeBytes: number;
  treePackedBytes: number;
}

export function noBlobs(): AddedBlobs {
  return { dataBlobs: 0, dataBytes: 0, dataPackedBytes: 0, treeBlobs: 0, treeBytes: 0, treePackedBytes: 0 };
}

/** The result of a backup: the numbers of the snapshot's summary and what only this run knows. */
export interface BackupSummary extends SnapshotSummary {
  /** Hex; `undefined` for a dry run, and when nothing changed and that was to be skipped. */
  readonly snapshotId: string | undefined;
  readonly dryRun: boolean;
  /** How many objects could not be read or saved; the snapshot lacks them. */
  readonly errors: number;
  readonly seconds: number;
}

/** Rare or verbose things that happen during a backup. */
export type BackupEvent =
  | { readonly type: "parent"; readonly id: string | undefined }
  | {
      readonly type: "error";
      readonly during: "scan" | "archival";
      readonly item: string;
      readonly error: Error;
    }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "estimated"; readonly files: number; readonly bytes: number; readonly seconds: number }
  | ItemEvent;

/** One object is saved; only reported when asked for. */
export interface ItemEvent {
  readonly type: "item";
  readonly action: "new" | "modified" | "unchanged";
  /** Path in the snapshot; a directory's ends in a slash. */
  readonly item: string;
  readonly seconds: number;
  readonly added: AddedBlobs;
}
