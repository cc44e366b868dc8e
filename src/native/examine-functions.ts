/** Functions of native/src/examine_files.cc. */
export interface ExamineFunctions {
  /**
   * Looks at what stands below a root directory, following no symbolic link.
   *
   * @param paths from the root, each with a zero byte behind it
   * @param wanted for each path the length of what its file should contain, at most 1 MiB; a time of last change for which
   * it is believed, seconds and nanoseconds; owner, group, permission bits, and the times of last change and last access, if
   * it matters whether the file has them. What is NaN is not wanted
   * @returns for each path its outcome, size, number of names, and 1 if it has all of that and no extended attributes; and
   * SHA-256 of its first bytes, as many as wanted, 32 bytes each: zeros where they were not read. Where the system allows it,
   * a file that was read keeps its time of last access
   */
  examineFiles(
    root: Uint8Array,
    paths: Uint8Array,
    wanted: Float64Array,
  ): Promise<readonly [found: Float64Array, hashes: Uint8Array]>;
}

/** Outcomes of `examineFiles`. Below zero: the errno with which the file could not be asked for, negated. */
export const EXAMINED = {
  nothing: 0,
  /** No plain file. */
  noFile: 1,
  /** Of the length and the time, and not read. */
  trusted: 2,
  unreadable: 3,
  read: 4,
} as const;
/** Numbers that `examineFiles` takes for each file. */
export const NUMBERS_TO_EXAMINE = 10;
/** Numbers that it gives for each. */
export const NUMBERS_OF_EXAMINED = 4;
