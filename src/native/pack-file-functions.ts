import type { MasterKeyHandle } from "./engine-functions.js";

declare const packFileBrand: unique symbol;

/** A pack that is being written and has no name yet. Closed, and gone, when the handle is collected. Opaque. */
export type PackFileHandle = object & { readonly [packFileBrand]: true };

/**
 * Functions of native/src/pack_file.cc. Paths are bytes; failures reject with an error as those of node:fs. Several calls
 * may be under way for one file. After a failed write, and after a `packFileFinish` that
 * failed, every other call for it but `packFileDiscard` rejects likewise.
 */
export interface PackFileFunctions {
  /**
   * @param temporaryName that it has in the folder from `packFileFinish` to `packFileCommit`, and from the beginning where the
   * file system knows no files without one
   * @param mode permission bits, whatever the umask
   */
  packFileOpen(folder: Uint8Array, temporaryName: string, mode: number): Promise<PackFileHandle>;
  /** Puts bytes at the end. They must be left alone until it is settled. @returns where they begin */
  packFileAppend(file: PackFileHandle, pieces: readonly Uint8Array[]): Promise<number>;
  /**
   * Seals as `sealMany` does, and puts the results at the end of the file.
   *
   * @returns offset and length of each in turn; the length is 0 where the verification failed, and nothing was written
   */
  packFileSeal(
    file: PackFileHandle,
    key: MasterKeyHandle,
    plaintexts: readonly Uint8Array[],
    levels: Int32Array,
    verify: boolean,
    ids: Uint8Array | undefined,
  ): Promise<Uint32Array>;
  /**
   * The same for plaintexts that lie in one piece of memory, which costs a tenth of what a list of views does.
   *
   * @param places offset and length of each in turn
   */
  packFileSealParts(
    file: PackFileHandle,
    key: MasterKeyHandle,
    memory: Uint8Array,
    places: Uint32Array,
    levels: Int32Array,
    verify: boolean,
    ids: Uint8Array | undefined,
  ): Promise<Uint32Array>;
  /**
   * Makes the content durable; nothing more can be put into the file.
   *
   * @param mode permission bits from now on, where the file system keeps them
   * @param keepsCached whether it may stay in the kernel's cache, to be read again
   * @returns SHA-256 of the content
   */
  packFileFinish(file: PackFileHandle, mode: number, keepsCached: boolean): Promise<Buffer>;
  /** The whole content. */
  packFileLoad(file: PackFileHandle): Promise<Buffer>;
  /**
   * Gives a finished file, which has its temporary name by now, its own and makes that durable. The handle is closed
   * then, and stays open on failure.
   */
  packFileCommit(file: PackFileHandle, path: Uint8Array): Promise<void>;
  /** Closes it; without a name nothing remains. */
  packFileDiscard(file: PackFileHandle): Promise<void>;
}
