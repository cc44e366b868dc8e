import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";

/** What became of one blob of many. */
export type BlobResult = { readonly plaintext: Uint8Array } | { readonly error: unknown };

/**
 * Whatever can hand out a blob by ID: the repository itself, and the caches in front of it.
 * What comes out is verified; whoever gets it must not change it.
 */
export interface BlobLoader {
  /**
   * @returns the plaintext
   * @throws {NotFoundError} if no index knows the blob
   * @throws {DamagedError} if no copy of it is intact, naming blob and pack
   */
  loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array>;
  /** Length of the plaintext in bytes, from the index alone; `undefined` when no index knows the blob. */
  blobSize(type: BlobType, id: Id): number | undefined;
  /**
   * Loads many with few requests, for loaders that know which blobs lie side by side. `on` is called once for
   * each blob, in the order in which they arrive; one failure does not touch the others.
   */
  loadBlobs?(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => void,
    signal?: AbortSignal,
  ): Promise<void>;
  /**
   * The blobs of the same type that lie behind one in its pack, in their order, as many as have `maxBytes` of
   * plaintext together. Known from the index alone; empty when it does not know the blob.
   */
  following?(type: BlobType, id: Id, maxBytes: number): Id[];
}
