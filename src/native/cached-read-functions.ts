/** Reading without waiting. Implemented in `native/src/cached_read.cc`. */
export interface CachedReadFunctions {
  /**
   * The content of a plain file of at most `maxBytes` (64 KiB in any case), read at once and on this thread.
   *
   * @param path bytes; a symbolic link at its end is not followed
   * @returns `undefined` for whatever cannot be had without waiting: a file that the kernel does not have in memory, a
   * file system over the network; also for one that is missing, larger, or no plain file
   */
  readCached(path: Uint8Array, maxBytes: number): Buffer | undefined;
}
