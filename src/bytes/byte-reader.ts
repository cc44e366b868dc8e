import { FormatError } from "../errors.js";
import { ID_LENGTH, type Id, idFromBytes } from "./id.js";

/**
 * Reads little-endian numbers, IDs and runs of bytes one after the other and never beyond the end: whoever asks for more
 * than there is gets a `FormatError` with what was read, where, how much was wanted and how much is there.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #offset = 0;

  /** @param what names the thing that is read, for the error: `pack header` */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** Position of the next read, in bytes from the start. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes that are left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32le(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** The next 32 bytes, as a view. */
  id(): Id {
    return idFromBytes(this.bytes(ID_LENGTH));
  }

  /** The next bytes, as a view. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) {
      throw new FormatError(
        `Cannot read ${this.#what}: want ${length} bytes at offset ${start}, have ${this.remaining}`,
      );
    }
    this.#offset = start + length;
    return start;
  }
}
