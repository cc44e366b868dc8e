/** Where the calling thread runs. Implemented in `native/src/placement.cc`, on Linux only. */
export interface PlacementFunctions {
  /**
   * Keeps the calling thread on the processor that a thread of some process ran on last.
   *
   * @returns false when that cannot be told, or the process may not run there: then nothing changes
   */
  followThread(pid: number): boolean;
  /** Lets the calling thread run wherever the process may. */
  runAnywhere(): void;
}
