/**
 * Memory for plaintexts: one piece that is used again and again, in a ring. A buffer for each blob would keep the
 * garbage collector busy (a third of the processor time of a `tar` of small files was that), and so would its pages.
 *
 * Segments are handed out one behind the other; what lies in the way is given up, which is what was loaded longest ago.
 * What somebody works with is pinned, and stepped over.
 */

import { largeMemory } from "../bytes/large-memory.js";

/** Segments begin at multiples of this: a cache line. */
const ALIGNMENT = 64;
/** What a blob costs beside its bytes: key, entry, view. It is set aside in the ring, so that the bound counts it. */
const BLOB_OVERHEAD_BYTES = 384;
const GROWTH_BYTES = 4 * 1024 * 1024;

/** A stretch of the ring. Its memory means something else once it is neither pinned nor told of by `onEvict`. */
export class ArenaSegment {
  readonly start: number;
  readonly end: number;
  readonly memory: Buffer;
  /** Keys of the blobs that lie here. */
  readonly blobs: string[] = [];
  previous: ArenaSegment | undefined;
  following: ArenaSegment | undefined;
  #pins = 1;

  constructor(start: number, end: number, memory: Buffer) {
    this.start = start;
    this.end = end;
    this.memory = memory;
  }

  get isPinned(): boolean {
    return this.#pins > 0;
  }

  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
  }
}

export class BlobArena {
  readonly maxBytes: number;
  /** Where the ring ends now. */
  #ringBytes: number;
  readonly #onEvict: (segment: ArenaSegment) => void;
  /** Made when it is first needed; pages that were never written take no memory. */
  #memory: Buffer | undefined;
  #first: ArenaSegment | undefined;
  #newest: ArenaSegment | undefined;
  #bytes = 0;

  /**
   * @param onEvict is called before the memory of a segment is used for something else
   * @param firstBytes what the ring has before it grows
   */
  constructor(maxBytes: number, onEvict: (segment: ArenaSegment) => void, firstBytes = maxBytes) {
    this.maxBytes = maxBytes;
    this.#ringBytes = Math.min(firstBytes, maxBytes);
    this.#onEvict = onEvict;
  }

  /** Makes the ring larger, up to the bound. @returns false when it is there already */
  grow(): boolean {
    if (this.#ringBytes === this.maxBytes) return false;
    this.#ringBytes = Math.min(this.#ringBytes + GROWTH_BYTES, this.maxBytes);
    return true;
  }

  /** Bytes in segments. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Memory for so many blobs of so many bytes together, pinned once. `undefined` if that is more than there is,
   * or if too much of it is pinned.
   */
  take(length: number, blobs: number): ArenaSegment | undefined {
    const size = Math.ceil((length + blobs * BLOB_OVERHEAD_BYTES) / ALIGNMENT) * ALIGNMENT;
    if (size > this.maxBytes) return undefined;
    let place = this.#findPlace(size);
    while (!place && this.grow()) place = this.#findPlace(size);
    if (!place) return undefined;
    let { next } = place;
    const previous = next ? next.previous : this.#last();
    while (next && next.start < place.at + size) {
      const gone = next;
      next = gone.following;
      this.#onEvict(gone);
      this.#bytes -= gone.end - gone.start;
    }
    this.#memory ??= largeMemory(this.maxBytes);
    const memory = this.#memory.subarray(place.at, place.at + length);
    const segment = new ArenaSegment(place.at, place.at + size, memory);
    segment.previous = previous;
    segment.following = next;
    if (previous) previous.following = segment;
    else this.#first = segment;
    if (next) next.previous = segment;
    this.#newest = segment;
    this.#bytes += size;
    return segment;
  }

  /** Where nothing is pinned behind the newest segment, going round once; `next` is the segment at or behind there. */
  #findPlace(size: number): { at: number; next: ArenaSegment | undefined } | undefined {
    let at = this.#newest?.end ?? 0;
    let next = this.#newest?.following;
    for (let wraps = 0; ; ) {
      if (at + size > this.#ringBytes) {
        if (++wraps > 1) return undefined;
        at = 0;
        next = this.#first;
        continue;
      }
      let pinned = next;
      while (pinned && pinned.start < at + size && !pinned.isPinned) pinned = pinned.following;
      if (!pinned || pinned.start >= at + size) return { at, next };
      at = pinned.end;
      next = pinned.following;
    }
  }

  #last(): ArenaSegment | undefined {
    // The newest is the last unless there is something behind it.
    let last = this.#newest;
    while (last?.following) last = last.following;
    return last;
  }
}
