import { CHUNK_MAX_BYTES } from "../engine/engine.js";

/** Bytes read from a file in one go. */
export const SEGMENT_BYTES = 8 * 1024 * 1024;

/**
 * A piece of memory that a stretch of a file is read into. In front of it is room for what the stretch before has left over: a
 * chunk is at most as long as that room, so chunks that span two stretches still lie in one piece.
 */
export class Segment {
  static readonly #HEADROOM = CHUNK_MAX_BYTES;
  // Pages of the headroom that are never touched take no memory.
  readonly #memory = Buffer.allocUnsafeSlow(Segment.#HEADROOM + SEGMENT_BYTES);
  /** Where the file is read to. */
  readonly body = this.#memory.subarray(Segment.#HEADROOM);

  /** Puts the left-over in front of the first `length` bytes of the body and returns both as one. */
  withCarry(carry: Uint8Array, length: number): Buffer {
    const start = Segment.#HEADROOM - carry.length;
    this.#memory.set(carry, start);
    return this.#memory.subarray(start, Segment.#HEADROOM + length);
  }
}

/** Segments by reference count: each is used again when everybody who held it has let go. Bounds the memory of all large files. */
export class SegmentPool {
  readonly #limit: number;
  readonly #free: Segment[] = [];
  readonly #holders = new Map<Segment, number>();
  readonly #waiting: ((segment: Segment) => void)[] = [];
  #made = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Held once by the caller. */
  async acquire(): Promise<Segment> {
    const segment =
      this.#free.pop() ??
      (this.#made < this.#limit
        ? this.#make()
        : await new Promise<Segment>((enter) => this.#waiting.push(enter)));
    this.#holders.set(segment, 1);
    return segment;
  }

  hold(segment: Segment): void {
    this.#holders.set(segment, this.#holders.get(segment)! + 1);
  }

  release(segment: Segment): void {
    const holders = this.#holders.get(segment)! - 1;
    this.#holders.set(segment, holders);
    if (holders > 0) return;
    const next = this.#waiting.shift();
    if (next) next(segment);
    else this.#free.push(segment);
  }

  #make(): Segment {
    this.#made++;
    return new Segment();
  }
}
