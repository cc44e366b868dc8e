/** Functions of native/src/page_cache.cc, about a range of an open file. The first two return at once. */
export interface PageCacheFunctions {
  /** Whether most of it is in the kernel's cache, by samples; true where nobody can tell. */
  isCached(fd: number, offset: number, length: number): boolean;
  /** The kernel's cache need not keep it. What was written and is not on the disk yet stays. */
  forgetCached(fd: number, offset: number, length: number): void;
  /**
   * Reads the range past the kernel's cache, straight from the disk into the memory (O_DIRECT), which should have
   * 12 KiB more than the range, as disks read whole blocks. Nobody else may read the file by this descriptor meanwhile.
   *
   * @returns where in the memory the range begins; -1 where that cannot be done, or the file ends before the range does
   */
  readAroundCache(fd: number, offset: number, length: number, into: Uint8Array): Promise<number>;
}
