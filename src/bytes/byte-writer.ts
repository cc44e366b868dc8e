/**
 * Writes little-endian numbers and runs of bytes into a buffer of known length; the twin of `ByteReader`.
 * Writing beyond the end is a mistake of the program and throws a RangeError.
 */
export class ByteWriter {
  readonly #buffer: Buffer;
  #offset = 0;

  constructor(length: number) {
    this.#buffer = Buffer.alloc(length);
  }

  u8(value: number): this {
    this.#offset = this.#buffer.writeUInt8(value, this.#offset);
    return this;
  }

  u32le(value: number): this {
    this.#offset = this.#buffer.writeUInt32LE(value, this.#offset);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#buffer.set(bytes, this.#offset);
    this.#offset += bytes.length;
    return this;
  }

  /** What was written. @throws {RangeError} unless the buffer is exactly full */
  finish(): Buffer {
    if (this.#offset !== this.#buffer.length)
      throw new RangeError(`"bytes" expected ${this.#buffer.length} written, got ${this.#offset}`);
    return this.#buffer;
  }
}
