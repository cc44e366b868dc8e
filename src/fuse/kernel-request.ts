import { FormatError } from "../errors.js";
import type { NodeId } from "./filesystem.js";
import { REQUEST_BYTES, Size } from "./kernel-abi.js";

const HIGH = 2 ** 32;

/**
 * A view of one request in the buffer that the channel fills. It moves from slot to slot, and the slots are
 * overwritten by the next batch: a handler must take out what it needs before it waits for anything.
 *
 *     0 length u32   4 opcode u32   8 unique u64   16 nodeid u64   24 uid, gid, pid u32   36 extensions   40 body
 */
export class KernelRequest {
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  #byte = 0;
  #word = 0;

  /** @param bytes slots of REQUEST_BYTES each, aligned to 4 bytes */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  }

  /** @throws {FormatError} when the length that the request gives itself cannot be */
  select(slot: number): void {
    this.#byte = slot * REQUEST_BYTES;
    this.#word = this.#byte >>> 2;
    if (this.length < Size.IN_HEADER || this.length > REQUEST_BYTES)
      throw new FormatError(
        `Cannot decode a request: expected a length from ${Size.IN_HEADER} to ${REQUEST_BYTES}, got ${this.length}`,
      );
  }

  get length(): number {
    return this.#words[this.#word]!;
  }
  get opcode(): number {
    return this.#words[this.#word + 1]!;
  }
  /** Both words of `unique`; a reply must carry them bit for bit. */
  get uniqueLow(): number {
    return this.#words[this.#word + 2]!;
  }
  get uniqueHigh(): number {
    return this.#words[this.#word + 3]!;
  }
  get node(): NodeId {
    return (this.#words[this.#word + 4]! + this.#words[this.#word + 5]! * HIGH) as NodeId;
  }
  /** The thread that asks; 0 when it lives outside of the server's PID namespace. */
  get pid(): number {
    return this.#words[this.#word + 8]!;
  }
  get bodyLength(): number {
    return this.length - Size.IN_HEADER;
  }

  /** A 32-bit field at a byte offset of the body. */
  u32(offset: number): number {
    return this.#words[this.#word + 10 + (offset >>> 2)]!;
  }

  /** A 64-bit field at a byte offset of the body; inexact from 2^53 on. */
  u64(offset: number): number {
    return this.u32(offset) + this.u32(offset + 4) * HIGH;
  }

  /** The bytes up to the next zero from a byte offset of the body, copied. @throws {FormatError} when there is no zero */
  name(offset: number): Buffer {
    const begin = this.#byte + Size.IN_HEADER + offset;
    const end = this.#bytes.indexOf(0, begin);
    if (end < 0 || end >= this.#byte + this.length)
      throw new FormatError(`Cannot decode a request: its name at ${offset} has no end`);
    return Buffer.from(this.#bytes.subarray(begin, end));
  }
}
