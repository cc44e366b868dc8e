/**
 * Storage IDs. An `Id` is the SHA-256 of what it names, as 32 raw bytes; hex is for people and file names only.
 *
 * Four identifiers look alike and are not:
 *
 * - a **blob ID** is the hash of a blob's *plaintext*: it stays the same in whatever pack the blob lies, compressed or not;
 * - a **pack ID** is the hash of a pack file's *encrypted* bytes, header included: it names a file of the backend;
 * - a **file ID** (snapshot, index, lock, key) is the hash of that file's *stored* bytes: it names a file of the backend;
 * - the **repository ID** of the config is random and names nothing but the cache folder.
 */

declare const idBrand: unique symbol;

/** 32 bytes, never changed after they were made. */
export type Id = Uint8Array & { readonly [idBrand]: true };

export const ID_LENGTH = 32;
export const ID_HEX_LENGTH = 2 * ID_LENGTH;

/** What `toString("latin1")` ends in. It takes any view; making a Buffer of one costs as much again (180 and 80 ns). */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

const HEX_ID = /^[0-9a-f]{64}$/;

/** True for exactly 64 lower-case hex digits: the only names that count as files of a repository. */
export function isHexId(text: string): boolean {
  return HEX_ID.test(text);
}

/** Reads 64 hex digits; `undefined` when the text is not an ID. */
export function parseId(text: string): Id | undefined {
  return HEX_ID.test(text) ? (Buffer.from(text, "hex") as Uint8Array as Id) : undefined;
}

/** Takes 32 bytes as an ID. @throws {RangeError} if there are not exactly 32. */
export function idFromBytes(bytes: Uint8Array): Id {
  if (bytes.length !== ID_LENGTH)
    throw new RangeError(`"id" expected ${ID_LENGTH} bytes, got ${bytes.length}`);
  return bytes as Id;
}

/** 64 lower-case hex digits. */
export function formatId(id: Uint8Array): string {
  return asBuffer(id).toString("hex");
}

/** The first 8 hex digits, as restic shows an ID to people. */
export function formatShortId(id: Uint8Array): string {
  return asBuffer(id).toString("hex", 0, 4);
}

/** A key for maps and caches: one character a byte, cheaper to make than hex and as unique. */
export function idKey(id: Uint8Array): string {
  return latin1Slice.call(id, 0, id.length);
}

export function equalIds(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** A list of IDs in one piece of memory, 32 bytes each: a file of 2 GiB has 2,000 of them. Read-only. */
export class IdList implements Iterable<Id> {
  static readonly EMPTY = new IdList(new Uint8Array(0));
  readonly bytes: Uint8Array;

  /** @throws {RangeError} if the length is no multiple of 32. */
  constructor(bytes: Uint8Array) {
    if (bytes.length % ID_LENGTH !== 0)
      throw new RangeError(`"bytes" expected whole IDs, got ${bytes.length} bytes`);
    this.bytes = bytes;
  }

  static from(ids: Iterable<Uint8Array>): IdList {
    return new IdList(Buffer.concat([...ids]));
  }

  get length(): number {
    return this.bytes.length / ID_LENGTH;
  }

  /** The ID at a position, as a view. @throws {RangeError} beyond the end. */
  at(position: number): Id {
    if (position < 0 || position >= this.length)
      throw new RangeError(`"position" expected below ${this.length}, got ${position}`);
    return this.bytes.subarray(position * ID_LENGTH, (position + 1) * ID_LENGTH) as Id;
  }

  *[Symbol.iterator](): IterableIterator<Id> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
