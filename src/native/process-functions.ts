/** The process as a whole. Implemented in `native/src/process.cc` and `native/src/heap_pages.cc`. */
export interface ProcessFunctions {
  /**
   * Lets the calling thread take no signals, nor the threads that it starts meanwhile, until it is called with `false` as
   * often as with `true`. Signals of the process go to its other threads, or wait.
   */
  blockSignals(block: boolean): void;
  /**
   * Asks the system for huge pages in `bytes` of the memory, as far as they fill them; best before it is used. Never fails.
   *
   * @returns where these bytes begin: at a huge page where the memory has room for it, otherwise at its start
   */
  useHugePages(memory: Uint8Array, bytes: number): number;
  /**
   * Gives back to the system what the memory takes, as far as it fills pages; what was in it is lost. It may be used again.
   * Never fails; does nothing outside Linux.
   */
  giveBackPages(memory: Uint8Array): void;
  /**
   * Ends the process with this code after so many milliseconds, whatever its threads wait for, if it has not ended by
   * then. For a process that is about to end: Node.js waits for each file operation under way, also on a disk that hangs.
   */
  exitWithin(code: number, patienceMs: number): void;
  /** Lets a pipe hold 1 MiB instead of 64 KiB. Never fails: nothing is done where `fd` is no pipe or the system refuses. */
  widenPipe(fd: number): void;
}
