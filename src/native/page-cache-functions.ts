/** Functions of native/src/page_cache.cc, about a range of a file. The first two return at once. */
export interface PageCacheFunctions {
  /** Whether most of it is in the kernel's cache, by samples; true where nobody can tell. */
  isCached(fd: number, offset: number, length: number): boolean;
  /** The kernel's cache need not keep it. What was written and is not on the disk yet stays. */
  forgetCached(fd: number, offset: number, length: number): void;
  /**
   * Reads a range of a file by its name into memory of at least its length.
   *
   * @param isDirect what is not in the kernel's cache is read past it, straight from the disk (O_DIRECT), if the memory has
   * 12 KiB more than the range, as disks read whole blocks, and the file system can
   * @param isForgotten what was not in the kernel's cache does not stay there
   * @returns where in the memory the range begins; -1 where it cannot be had, for whatever reason
   */
  readRange(
    path: Uint8Array,
    offset: number,
    length: number,
    into: Uint8Array,
    isDirect: boolean,
    isForgotten: boolean,
  ): Promise<number>;
}
