const SEGMENT_ROWS = 4096;

/**
 * Rows of numbers, side by side in typed memory: what a restore keeps of each of millions of files. It grows by whole
 * segments, so that growing never copies what is there.
 */
export class NumberRows {
  readonly #width: number;
  readonly #segments: Float64Array[] = [];
  #length = 0;

  /** @param width numbers in a row */
  constructor(width: number) {
    this.#width = width;
  }

  get length(): number {
    return this.#length;
  }

  /** @returns the number of the row */
  add(...row: number[]): number {
    const number = this.#length++;
    if (number % SEGMENT_ROWS === 0) this.#segments.push(new Float64Array(SEGMENT_ROWS * this.#width));
    const segment = this.#segments[Math.floor(number / SEGMENT_ROWS)]!;
    const start = (number % SEGMENT_ROWS) * this.#width;
    for (let i = 0; i < this.#width; i++) segment[start + i] = row[i]!;
    return number;
  }

  get(row: number, column: number): number {
    return this.#segments[Math.floor(row / SEGMENT_ROWS)]![(row % SEGMENT_ROWS) * this.#width + column]!;
  }
}

const BLOCK_BYTES = 256 * 1024;

/** Copies of short byte strings in a few blocks of memory. */
export class ByteStore {
  readonly #blocks: Buffer[] = [];
  #used = BLOCK_BYTES;

  /** @returns where it is, for `get`. @throws {RangeError} above 256 KiB */
  add(bytes: Uint8Array): number {
    if (bytes.length > BLOCK_BYTES)
      throw new RangeError(`"bytes" expected at most ${BLOCK_BYTES} bytes, got ${bytes.length}`);
    if (this.#used + bytes.length > BLOCK_BYTES) {
      this.#blocks.push(Buffer.allocUnsafeSlow(BLOCK_BYTES));
      this.#used = 0;
    }
    const at = (this.#blocks.length - 1) * BLOCK_BYTES + this.#used;
    this.#blocks.at(-1)!.set(bytes, this.#used);
    this.#used += bytes.length;
    return at;
  }

  /** A view. */
  get(at: number, length: number): Buffer {
    const start = at % BLOCK_BYTES;
    return this.#blocks[Math.floor(at / BLOCK_BYTES)]!.subarray(start, start + length);
  }
}
