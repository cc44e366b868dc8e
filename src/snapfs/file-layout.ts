/**
 * Where the blobs of a file lie in it: prefix sums of their plaintext lengths, as the index has them.
 *
 * The index may not know every blob. One unknown length follows from the size of the file. With several, what lies
 * before the first and behind the last of them is still known to the byte; the range between can not be read, and it
 * is better not to guess.
 */

import type { Id, IdList } from "../bytes/id.js";

/** SHA-256 of 524,288 zero bytes: what restic's chunker makes of zeros, as every cut comes as early as it may. */
const ZERO_CHUNK_ID = Buffer.from("07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541", "hex");
export const ZERO_CHUNK_BYTES = 512 * 1024;

export function isZeroChunk(id: Uint8Array): boolean {
  return id[0] === ZERO_CHUNK_ID[0] && ZERO_CHUNK_ID.equals(id);
}

/** Bytes of a file that are known to be zero without looking. */
export function zeroBytes(content: IdList): number {
  let chunks = 0;
  for (let i = 0; i < content.length; i++) {
    const at = 32 * i;
    // Making a view of every ID would cost more than this look at the first bytes.
    if (content.bytes[at] === ZERO_CHUNK_ID[0] && content.bytes[at + 1] === ZERO_CHUNK_ID[1]) {
      if (isZeroChunk(content.at(i))) chunks++;
    }
  }
  return chunks * ZERO_CHUNK_BYTES;
}

/** A part of a blob. */
export interface BlobSlice {
  readonly blob: number;
  /** From where to where in the blob, in bytes. */
  readonly from: number;
  readonly to: number;
}

export class FileLayout {
  readonly content: IdList;
  /** Offset behind each blob. */
  readonly ends: Float64Array;
  /** Blobs of this and later positions up to the last unknown one cannot be placed; -1 when all can. */
  readonly firstUnplaced: number;
  readonly #lastUnplaced: number;

  /** @param size what the node says; only believed where the index does not know better */
  constructor(content: IdList, size: number, lengthOf: (id: Id) => number | undefined) {
    this.content = content;
    this.ends = new Float64Array(content.length);
    let first = -1;
    let last = -1;
    const lengths = new Float64Array(content.length);
    for (let i = 0; i < content.length; i++) {
      const length = lengthOf(content.at(i));
      if (length === undefined) {
        if (first < 0) first = i;
        last = i;
      } else {
        lengths[i] = length;
      }
    }
    this.firstUnplaced = first;
    this.#lastUnplaced = last;
    let end = 0;
    let behind = 0;
    for (let i = last + 1; i < content.length && first >= 0; i++) behind += lengths[i]!;
    for (let i = 0; i < content.length; i++) {
      // At least a byte, whatever the size says: nobody would notice otherwise that something is missing.
      if (i === first) end = Math.max(end + 1, size - behind);
      else if (i < first || i > last) end += lengths[i]!;
      this.ends[i] = end;
    }
  }

  /** True when every blob is known to the index. */
  get isWhole(): boolean {
    return this.firstUnplaced < 0;
  }

  get size(): number {
    return this.ends.at(-1) ?? 0;
  }

  start(blob: number): number {
    return blob === 0 ? 0 : this.ends[blob - 1]!;
  }

  length(blob: number): number {
    return this.ends[blob]! - this.start(blob);
  }

  /** False for a blob whose place in the file cannot be told. */
  isPlaced(blob: number): boolean {
    if (blob < this.firstUnplaced || blob > this.#lastUnplaced || this.firstUnplaced < 0) return true;
    return this.firstUnplaced === this.#lastUnplaced;
  }

  /** The parts of blobs that make up a range; cut off at the end of the file. */
  slices(offset: number, length: number): BlobSlice[] {
    const slices: BlobSlice[] = [];
    const end = Math.min(offset + length, this.size);
    for (let blob = this.#blobAt(offset), at = offset; at < end; blob++) {
      const start = this.start(blob);
      const to = Math.min(end, this.ends[blob]!);
      if (to > at) slices.push({ blob, from: at - start, to: to - start });
      at = Math.max(at, to);
    }
    return slices;
  }

  /** Where data or a hole begins at or behind the offset; the end of the file counts as a hole. */
  seek(offset: number, what: "data" | "hole"): number | undefined {
    if (offset >= this.size) return undefined;
    let at = offset;
    for (let blob = this.#blobAt(offset); blob < this.content.length; blob++) {
      const isHole = isZeroChunk(this.content.at(blob)) && this.length(blob) === ZERO_CHUNK_BYTES;
      if (isHole === (what === "hole") && this.ends[blob]! > at) return at;
      at = Math.max(at, this.ends[blob]!);
    }
    return what === "hole" ? this.size : undefined;
  }

  /** The first blob that ends behind the offset. */
  #blobAt(offset: number): number {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ends[middle]! > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
