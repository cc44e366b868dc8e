import type { Id } from "../bytes/id.js";
import type { BlobType } from "../format/blob.js";

/** What became of one blob of many. */
export type BlobResult = { readonly plaintext: Uint8Array } | { readonly error: unknown };

/** Memory of the caller that plaintexts are put into. */
export interface PlaintextRoom {
  /** At least as long as was asked for. */
  readonly memory: Uint8Array;
}

/** Who takes the plaintexts of many blobs, those of neighbours together. */
export interface PlaintextSink {
  /** Memory for so many blobs of so many bytes together; it must be left alone until `arrived` has it back. */
  room(bytes: number, blobs: number): PlaintextRoom;
  /**
   * What became of neighbours, called once for each room. Plaintexts are views of the room's memory, or of memory that
   * is the taker's from now on. Without a room: what was loaded in another way.
   */
  arrived(ids: readonly Id[], results: readonly BlobResult[], room: PlaintextRoom | undefined): void;
}

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
   * each blob, in the order in which they arrive; one failure does not touch the others. The blobs behind it in its pack
   * wait for a promise that it returns. A plaintext is valid until then only: whoever wants it longer keeps a copy.
   */
  loadBlobs?(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void>;
  /**
   * The same with memory of the caller, which spares making and collecting a buffer for each blob. Resolves when no room
   * is in use any more; one failure does not touch the others.
   */
  loadBlobsInto?(
    type: BlobType,
    ids: readonly Id[],
    sink: PlaintextSink,
    signal?: AbortSignal,
  ): Promise<void>;
  /**
   * The blobs of the same type that lie behind one in its pack, in their order, as many as have `maxBytes` of
   * plaintext together. Known from the index alone; empty when it does not know the blob.
   */
  following?(type: BlobType, id: Id, maxBytes: number): SizedBlob[];
  /** The stretch of a pack that a blob begins in; `undefined` when no index knows the blob. */
  stretch?(type: BlobType, id: Id, stretchBytes: number): PackStretch | undefined;
}

/** A blob, and the bytes of its plaintext. */
export interface SizedBlob {
  readonly id: Id;
  readonly bytes: number;
}

/** One of the equal parts that a pack is thought to be cut into. */
export interface PackStretch {
  /** The same for all blobs that begin in it, and for no others. */
  readonly key: number;
  /**
   * The blobs of the type that begin in it, in their order, without those of more than `maxBlobBytes` of plaintext.
   * Known from the index alone: where index files do not list a pack in the order of the offsets, fewer are found.
   */
  ids(maxBlobBytes: number): Id[];
}
