/** A huge page, where they are in common use. */
export const LARGE_MEMORY_BYTES = 2 * 1024 * 1024;

let prepare: (memory: Uint8Array) => void = () => {};

/**
 * Memory that is not zeroed, for a buffer that may have megabytes. Where the addon is loaded, those come in huge pages: see
 * `native/src/heap_pages.h`.
 */
export function largeMemory(bytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes);
  if (bytes >= LARGE_MEMORY_BYTES) prepare(memory);
  return memory;
}

/** Says what is done with large memory before it is used. Called once, by who knows the system. */
export function onLargeMemory(action: (memory: Uint8Array) => void): void {
  prepare = action;
}
