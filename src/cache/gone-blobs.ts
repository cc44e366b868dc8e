/** Must be a power of two. */
const PLACES = 8192;

/**
 * Remembers which blobs a cache gave up last: those that one of so many bytes more would still have. In a table of 96 KiB,
 * where one may push out another: LRU maps for this and for what is loaded ahead took 0.11 of the 2.7 s that the main thread
 * had to do while 79,000 files were read.
 */
export class GoneBlobs {
  readonly #bytes: number;
  readonly #tags = new Uint32Array(PLACES);
  /** What had been given up when each of them was, bytes. */
  readonly #at = new Float64Array(PLACES);
  #givenUp = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** @param key ends with an ID, a character for each of its bytes */
  add(key: string, bytes: number): void {
    this.#givenUp += bytes;
    const place = placeOf(key);
    this.#tags[place] = tagOf(key);
    this.#at[place] = this.#givenUp;
  }

  /** Whether a blob is among them; it is not any more afterwards. */
  take(key: string): boolean {
    const place = placeOf(key);
    if (this.#tags[place] !== tagOf(key)) return false;
    this.#tags[place] = 0;
    return this.#givenUp - this.#at[place]! < this.#bytes;
  }
}

/** IDs are hashes: any of their bytes will do. */
function placeOf(key: string): number {
  const end = key.length;
  return (key.charCodeAt(end - 1) | (key.charCodeAt(end - 2) << 8)) & (PLACES - 1);
}

/** Never 0. */
function tagOf(key: string): number {
  const end = key.length;
  const low = key.charCodeAt(end - 3) | (key.charCodeAt(end - 4) << 8) | (key.charCodeAt(end - 5) << 16);
  return (low | (key.charCodeAt(end - 6) << 24) | (1 << 31)) >>> 0;
}
