import type { Id } from "../bytes/id.js";
import type { Engine } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { BlobIndex } from "../repository/blob-index.js";
import type { BlobLoader } from "../repository/blob-loader.js";
import type { SavedBlob, SmallBlob } from "../repository/blob-saver.js";
import type { AddedBlobs } from "./backup-progress.js";

/** What the archiver needs of a repository; `Repository` is one. */
export interface BlobStore extends BlobLoader {
  readonly engine: Engine;
  readonly config: { readonly version: 1 | 2; readonly chunkerPolynomial: bigint };
  readonly index: Pick<BlobIndex, "has" | "hasAll">;
  /** For what is asked for about in the order in which it was saved. */
  readonly inOrder: BlobLoader;
  saveBlob(type: BlobType, plaintext: Uint8Array, id?: Id): Promise<SavedBlob>;
  /** The same for many small ones of file content at once. */
  saveSmallBlobs(blobs: readonly SmallBlob[]): Promise<SavedBlob[]>;
}

/** Counts what a saved blob added. */
export function countBlob(added: AddedBlobs, type: BlobType, saved: SavedBlob): void {
  if (saved.known) return;
  if (type === "data") {
    added.dataBlobs++;
    added.dataBytes += saved.plainLength;
    added.dataPackedBytes += saved.packedLength;
  } else {
    added.treeBlobs++;
    added.treeBytes += saved.plainLength;
    added.treePackedBytes += saved.packedLength;
  }
}
