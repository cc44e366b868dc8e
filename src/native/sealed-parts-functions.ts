import type { MasterKeyHandle } from "./engine-functions.js";

declare const packHashBrand: unique symbol;

/** The hash of a pack, which goes on from piece to piece. Opaque. */
export type PackHashHandle = object & { readonly [packHashBrand]: true };

/**
 * Functions of native/src/sealed_parts.cc: sealed things that lie in one piece of memory, many in one hop. All inputs must
 * be left alone until the promise is settled. Common arguments:
 *
 * - `places`: offset, length and uncompressed length of each part, in turn;
 * - `ids`: SHA-256 of each plaintext, 32 bytes one after the other;
 * - `failures` receives a position in the engine's list of failures for each part, or the length of that list.
 */
export interface SealedPartsFunctions {
  /**
   * Unseals parts of one piece of memory into another.
   *
   * @param plaintexts receives them one after the other; zeros, as many as it should have been, for a part that failed
   */
  unsealParts(
    key: MasterKeyHandle,
    sealed: Uint8Array,
    places: Uint32Array,
    ids: Uint8Array,
    failures: Uint8Array,
    plaintexts: Uint8Array,
  ): Promise<void>;
  /** Makes what `verifyPiece` hashes a pack with. */
  createPackHash(): PackHashHandle;
  /**
   * Hashes the next piece of a pack, unseals parts of it and forgets them.
   *
   * @throws `ERR_BUSY` while the piece before is not through, and when the hash is finished
   */
  verifyPiece(
    key: MasterKeyHandle,
    hash: PackHashHandle,
    piece: Uint8Array,
    places: Uint32Array,
    ids: Uint8Array,
    failures: Uint8Array,
  ): Promise<void>;
  /** @returns SHA-256 of all pieces @throws `ERR_BUSY` as `verifyPiece` does */
  finishPackHash(hash: PackHashHandle): Buffer;
  /**
   * Carries out a program of file system calls (drawn in native/src/file_calls.h) whose contents are the plaintexts. A part
   * that no call wants is not unsealed.
   *
   * @returns the calls that failed, as `runFileCalls` does
   */
  unsealToFiles(
    key: MasterKeyHandle,
    sealed: Uint8Array,
    places: Uint32Array,
    ids: Uint8Array,
    failures: Uint8Array,
    root: Uint8Array,
    program: Uint8Array,
  ): Promise<Int32Array>;
}
