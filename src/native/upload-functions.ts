import type { SocketHandle } from "./body-socket-functions.js";

declare const uploadBrand: unique symbol;

/** A file that is being written and has no name yet. Closed, and gone, when the handle is collected. Opaque. */
export type UploadHandle = object & { readonly [uploadBrand]: true };

/** What `uploadCommit` did. */
export const UPLOAD_OUTCOME = { saved: 0, exists: 1, wrongHash: 2 } as const;

/**
 * Functions of native/src/upload.cc. Paths are bytes; failures reject with an error as those of node:fs. One call at a
 * time for each upload. After a failed write every other call for it but `uploadDiscard` rejects likewise.
 */
export interface UploadFunctions {
  /** @param mode permission bits, whatever the umask */
  uploadOpen(folder: Uint8Array, mode: number): Promise<UploadHandle>;
  /** Writes and hashes; the pieces must be left alone until it is settled. */
  uploadAppend(upload: UploadHandle, pieces: readonly Uint8Array[]): Promise<void>;
  /**
   * Appends what has arrived on a connection, without waiting for more: in 256 KiB of memory, whatever the limit.
   *
   * @param limit bytes, at least 1
   * @returns how many; 0 when there is nothing now, -1 when there will be no more
   */
  uploadReceive(upload: UploadHandle, socket: SocketHandle, limit: number): Promise<number>;
  /**
   * Makes the file durable and gives it its name, in the folder it was opened in. The upload is closed afterwards,
   * whatever the outcome.
   *
   * @param id SHA-256 that the content must have; `undefined` for any
   * @returns one of `UPLOAD_OUTCOME`
   */
  uploadCommit(upload: UploadHandle, path: Uint8Array, id: Uint8Array | undefined): Promise<number>;
  /** Closes it; nothing remains. */
  uploadDiscard(upload: UploadHandle): Promise<void>;
  /**
   * All of it in one hop, for a file that is small. A file that is there already stays, whatever the content.
   *
   * @param mode permission bits, whatever the umask
   * @param content must be left alone until it is settled
   * @param id SHA-256 that the content must have; `undefined` for any
   * @returns one of `UPLOAD_OUTCOME`
   */
  uploadWhole(
    path: Uint8Array,
    mode: number,
    content: Uint8Array,
    id: Uint8Array | undefined,
  ): Promise<number>;
}
