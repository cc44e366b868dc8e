/** The end of the process. Implemented in `native/src/thread_pool.cc`. */
export interface ProcessFunctions {
  /**
   * Ends the process with this code after so many milliseconds, whatever its threads wait for, if it has not ended by
   * then. For a process that is about to end: Node.js waits for each file operation under way, also on a disk that hangs.
   */
  exitWithin(code: number, patienceMs: number): void;
}
