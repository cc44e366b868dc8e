/** The process as a whole. Implemented in `native/src/thread_pool.cc` and `native/src/heap_pages.cc`. */
export interface ProcessFunctions {
  /**
   * Lets the calling thread take no signals, nor the threads that it starts meanwhile, until it is called with `false` as
   * often as with `true`. Signals of the process go to its other threads, or wait.
   */
  blockSignals(block: boolean): void;
  /** Asks the system for huge pages in the memory, as far as it fills them; best before it is used. Never fails. */
  useHugePages(memory: Uint8Array): void;
  /**
   * Ends the process with this code after so many milliseconds, whatever its threads wait for, if it has not ended by
   * then. For a process that is about to end: Node.js waits for each file operation under way, also on a disk that hangs.
   */
  exitWithin(code: number, patienceMs: number): void;
}
