import { largeMemory } from "../bytes/large-memory.js";
import { CHUNK_MAX_BYTES } from "../engine/engine.js";

/** Bytes read from a file in one go. */
export const SEGMENT_BYTES = 2 * 1024 * 1024;

/**
 * A piece of memory that a stretch of a file is read into. In front of it is room for what the stretch before
 * has left over: a chunk is at most as long as that room, so chunks that span two stretches still lie in one
 * piece.
 */
export class Segment {
  static readonly #HEADROOM = CHUNK_MAX_BYTES;
  // Pages of the headroom that are never touched take no memory.
  readonly #memory = largeMemory(Segment.#HEADROOM + SEGMENT_BYTES);
  /** Where the file is read to. */
  readonly body = this.#memory.subarray(Segment.#HEADROOM);

  /** Puts the left-over in front of the first `length` bytes of the body and returns both as one. */
  withCarry(carry: Uint8Array, length: number): Buffer {
    const start = Segment.#HEADROOM - carry.length;
    this.#memory.set(carry, start);
    return this.#memory.subarray(start, Segment.#HEADROOM + length);
  }
}
