import { ROOM_FOR_BLOCKS } from "../backend/backend.js";
import { largeMemory } from "../bytes/large-memory.js";

const SLAB_BYTES = 32 * 1024 * 1024;

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * Memory for ranges of packs, or for what is unsealed out of them, used again and again: making some for each range is what
 * the garbage collector runs for, and pages that are touched anew cost more than what is read into them. It is one slab of
 * 32 MiB, handed out from the front, so that no more of it is touched than is in use at a time; what does not fit is made
 * for its range alone.
 */
export class RangeBuffers {
  #slab: Buffer | undefined;
  /** What is handed out of it, in order. */
  #used: Stretch[] = [];

  /** So many bytes, and the room that disks want beside them. */
  take(length: number): Uint8Array {
    const size = length + ROOM_FOR_BLOCKS;
    let start = 0;
    let i = 0;
    for (; i < this.#used.length && this.#used[i]!.start < start + size; i++) start = this.#used[i]!.end;
    const end = start + size;
    if (end > SLAB_BYTES) return largeMemory(size);
    this.#slab ??= largeMemory(SLAB_BYTES);
    this.#used.splice(i, 0, { start, end });
    return this.#slab.subarray(start, end);
  }

  /** Only for a buffer that nobody writes to any more. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.buffer !== this.#slab?.buffer) return;
    const start = buffer.byteOffset - this.#slab.byteOffset;
    const at = this.#used.findIndex((stretch) => stretch.start === start);
    if (at >= 0) this.#used.splice(at, 1);
  }

  /** For one that may be written to later still: its slab goes, once nobody uses any of it, and the next is new. */
  abandon(buffer: Uint8Array): void {
    if (buffer.buffer !== this.#slab?.buffer) return;
    this.#slab = undefined;
    this.#used = [];
  }
}
