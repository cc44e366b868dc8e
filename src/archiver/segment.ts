import { giveBackMemory, largeMemory } from "../bytes/large-memory.js";
import { CHUNK_MAX_BYTES } from "../engine/engine.js";
import { ReusePool } from "./reuse-pool.js";

/** Bytes read from a file in one go. */
export const SEGMENT_BYTES = 2 * 1024 * 1024;

/** Most chunks leave over less than this. */
const USUAL_CARRY_BYTES = 2 * 1024 * 1024;

/**
 * A piece of memory that a stretch of a file is read into. In front of it is room for what the stretch before
 * has left over: a chunk is at most as long as that room, so chunks that span two stretches still lie in one
 * piece.
 */
export class Segment {
  static readonly #HEADROOM = CHUNK_MAX_BYTES;
  // Pages of the headroom that are not touched take no memory: of 10 MiB these are six.
  readonly #memory = largeMemory(Segment.#HEADROOM + SEGMENT_BYTES);
  /** Where the file is read to. */
  readonly body = this.#memory.subarray(Segment.#HEADROOM);
  #hasLongCarry = false;

  /** Puts the left-over in front of the first `length` bytes of the body and returns both as one. */
  withCarry(carry: Uint8Array, length: number): Buffer {
    const start = Segment.#HEADROOM - carry.length;
    this.#hasLongCarry ||= carry.length > USUAL_CARRY_BYTES;
    this.#memory.set(carry, start);
    return this.#memory.subarray(start, Segment.#HEADROOM + length);
  }

  /** To be called when nobody needs its content any more. */
  clear(): void {
    if (!this.#hasLongCarry) return;
    this.#hasLongCarry = false;
    giveBackMemory(this.#memory.subarray(0, Segment.#HEADROOM - USUAL_CARRY_BYTES));
  }
}

/** @param limit so many segments of at most 10 MiB each */
export function segmentPool(limit: number): ReusePool<Segment> {
  return new ReusePool(
    limit,
    () => new Segment(),
    (segment) => segment.clear(),
  );
}
