/**
 * Writes text as bytes into memory that grows: short pieces of ASCII, digits and hex by the million, where joining
 * strings and encoding the result costs five times as much, most of it for collecting the pieces.
 */
export class TextWriter {
  #buffer: Buffer;
  #length = 0;

  /** @param capacity bytes to begin with */
  constructor(capacity = 4096) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Text that is known to be ASCII. */
  ascii(text: string): void {
    const buffer = this.#reserve(text.length);
    const at = this.#length;
    for (let i = 0; i < text.length; i++) buffer[at + i] = text.charCodeAt(i);
    this.#length = at + text.length;
  }

  /** Any text, as UTF-8. */
  text(text: string): void {
    this.bytes(Buffer.from(text, "utf8"));
  }

  bytes(bytes: Uint8Array): void {
    const buffer = this.#reserve(bytes.length);
    buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A whole number from 0 to 2^53 - 1, in decimal. @throws {RangeError} for any other number */
  uint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`"value" expected a whole number from 0 to 2^53 - 1, got ${value}`);
    let digits = 1;
    for (let bound = 10; bound <= value; bound *= 10) digits += 1;
    const buffer = this.#reserve(digits);
    let rest = value;
    for (let at = this.#length + digits - 1; at >= this.#length; at--) {
      const quotient = Math.floor(rest / 10);
      buffer[at] = 0x30 + (rest - quotient * 10);
      rest = quotient;
    }
    this.#length += digits;
  }

  /** Bytes as lower-case hex. */
  hex(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const buffer = this.#reserve(2 * (end - start));
    let at = this.#length;
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!;
      buffer[at++] = HEX_DIGITS[byte >> 4]!;
      buffer[at++] = HEX_DIGITS[byte & 15]!;
    }
    this.#length = at;
  }

  /** Lets a function write at most so many bytes itself; it gets memory and offset and returns the offset behind. */
  with(most: number, write: (into: Uint8Array, offset: number) => number): void {
    this.#length = write(this.#reserve(most), this.#length);
  }

  /** What was written, as a view: the writer must not be used any more. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(length: number): Buffer {
    const needed = this.#length + length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

const HEX_DIGITS = Buffer.from("0123456789abcdef", "latin1");
