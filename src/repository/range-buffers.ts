const MIN_BYTES = 256 * 1024;
/** Buffers that wait to be used again. */
const MAX_SPARE_BYTES = 24 * 1024 * 1024;

/**
 * Buffers for ranges of packs, used again and again: making one for each range is what the garbage collector runs for.
 * Their sizes are powers of two; up to 24 MiB wait to be used.
 */
export class RangeBuffers {
  readonly #spare: Uint8Array[] = [];
  #spareBytes = 0;

  take(length: number): Uint8Array {
    const fits = this.#spare.findIndex(
      (buffer) => buffer.length >= length && buffer.length < 8 * length + MIN_BYTES,
    );
    if (fits < 0) return Buffer.allocUnsafeSlow(Math.max(MIN_BYTES, 2 ** Math.ceil(Math.log2(length))));
    const [buffer] = this.#spare.splice(fits, 1);
    this.#spareBytes -= buffer!.length;
    return buffer!;
  }

  /** Only for a buffer that nobody writes to any more. */
  giveBack(buffer: Uint8Array): void {
    if (this.#spareBytes + buffer.length > MAX_SPARE_BYTES) return;
    this.#spare.push(buffer);
    this.#spareBytes += buffer.length;
  }
}
