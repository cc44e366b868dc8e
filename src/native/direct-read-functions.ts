/** Bytes by which the memory for `readDirect` is longer than what is read. */
export const DIRECT_ROOM_BYTES = 3 * 4096;

/** Implemented in `native/src/direct_read.cc`. */
export interface DirectReadFunctions {
  /**
   * Reads from the disk past the page cache, or the ordinary way where the file system knows no other. Rejects as
   * `node:fs` does.
   *
   * @param path bytes
   * @param offset in the file, bytes; any
   * @param length bytes; any
   * @param into at least DIRECT_ROOM_BYTES longer; written to wherever the disk likes
   * @returns where in `into` the bytes begin, and how many of them the file had
   */
  readDirect(
    path: Uint8Array,
    offset: number,
    length: number,
    into: Uint8Array,
  ): Promise<readonly [start: number, got: number]>;
}
