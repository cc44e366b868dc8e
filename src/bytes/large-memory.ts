/** A huge page, where they are in common use. */
export const LARGE_MEMORY_BYTES = 2 * 1024 * 1024;

/** What a system does with large memory, where it can. */
export interface LargeMemoryActions {
  /** Before it is used. @returns where in the memory the wanted bytes begin best */
  readonly prepare: (memory: Uint8Array, bytes: number) => number;
  /** When its content is not wanted any more. */
  readonly giveBack: (memory: Uint8Array) => void;
}

let actions: LargeMemoryActions = { prepare: () => 0, giveBack: () => {} };

/**
 * Memory that is not zeroed, for a buffer that may have megabytes. Where the addon is loaded, those come in huge pages, and
 * begin with one: else a buffer of 2 MiB takes two. See `native/src/heap_pages.h`.
 */
export function largeMemory(bytes: number): Buffer {
  if (bytes < LARGE_MEMORY_BYTES) return Buffer.allocUnsafeSlow(bytes);
  // What is not touched of it takes no memory.
  const memory = Buffer.allocUnsafeSlow(bytes + LARGE_MEMORY_BYTES);
  const start = actions.prepare(memory, bytes);
  return memory.subarray(start, start + bytes);
}

/**
 * Gives the pages of memory back that will not be used soon, whose content is lost; they come again when they are used. Where
 * the addon is missing, nothing is done.
 */
export function giveBackMemory(memory: Uint8Array): void {
  if (memory.length > 0) actions.giveBack(memory);
}

/** Says what is done with large memory. Called once, by who knows the system. */
export function onLargeMemory(system: LargeMemoryActions): void {
  actions = system;
}
