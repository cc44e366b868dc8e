/** Functions of native/src/page_cache.cc. They return at once, and are about a range of an open file. */
export interface PageCacheFunctions {
  /** Whether most of it is in the kernel's cache, by samples; true where nobody can tell. */
  isCached(fd: number, offset: number, length: number): boolean;
  /** The kernel's cache need not keep it. What was written and is not on the disk yet stays. */
  forgetCached(fd: number, offset: number, length: number): void;
}
