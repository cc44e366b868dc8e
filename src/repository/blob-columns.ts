import { ID_LENGTH, type Id } from "../bytes/id.js";
import { INDEX_TREE_BIT, type IndexColumns } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { PackedBlob } from "../format/pack-header.js";

const WORDS = ID_LENGTH / 4;
/** Entries in a segment: columns grow by whole segments, so that growing never copies what is there. */
const SEGMENT_BITS = 13;
export const SEGMENT_ENTRIES = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_ENTRIES - 1;
const ENTRY_BYTES = 48;
/** Marks a tree in the column of pack numbers. */
const TREE_BIT = INDEX_TREE_BIT;
const PACK_MASK = 0x7fff_ffff;

/** The columns of 8,192 entries. */
interface Segment {
  readonly ids: Int32Array;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly uncompressed: Uint32Array;
  /** Pack number, with `TREE_BIT` for trees. */
  readonly packs: Uint32Array;
}

/** What is known of each copy of a blob, in typed columns, by the number of its entry: 48 bytes an entry. */
export class BlobColumns {
  #segments: Segment[] = [];
  #length = 0;

  /** Entry numbers are below this. */
  get length(): number {
    return this.#length;
  }

  /** Memory in bytes. */
  get byteLength(): number {
    return this.#segments.length * SEGMENT_ENTRIES * ENTRY_BYTES;
  }

  /** The number of an entry's pack. */
  packOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.packs[entry & SEGMENT_MASK]! & PACK_MASK;
  }

  isTree(entry: number): boolean {
    return this.#segments[entry >>> SEGMENT_BITS]!.packs[entry & SEGMENT_MASK]! >= TREE_BIT;
  }

  /** Bytes from the start of the pack. */
  offsetOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.offsets[entry & SEGMENT_MASK]!;
  }

  /** Bytes in the pack. */
  lengthOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.lengths[entry & SEGMENT_MASK]!;
  }

  /** Plaintext length of a compressed blob; 0 when it is not compressed. */
  uncompressedLengthOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.uncompressed[entry & SEGMENT_MASK]!;
  }

  /** The ID of the blob that an entry is of. */
  idOf(entry: number): Id {
    return readId(this.#segments[entry >>> SEGMENT_BITS]!.ids, (entry & SEGMENT_MASK) * WORDS);
  }

  /** All about one entry. */
  blobOf(entry: number): PackedBlob {
    const segment = this.#segments[entry >>> SEGMENT_BITS]!;
    const at = entry & SEGMENT_MASK;
    return {
      type: segment.packs[at]! >= TREE_BIT ? "tree" : "data",
      id: readId(segment.ids, at * WORDS),
      offset: segment.offsets[at]!,
      length: segment.lengths[at]!,
      uncompressedLength: segment.uncompressed[at]!,
    };
  }

  /** The first word of an entry's ID: SHA-256 is uniform, so it is a hash. */
  hashOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.ids[(entry & SEGMENT_MASK) * WORDS]!;
  }

  /** True when an entry is of this blob. @param hash of the ID @param idAt where in the bytes it begins */
  isOf(entry: number, type: BlobType, id: Uint8Array, hash: number, idAt = 0): boolean {
    const { ids, packs } = this.#segments[entry >>> SEGMENT_BITS]!;
    const at = entry & SEGMENT_MASK;
    const base = at * WORDS;
    if (ids[base] !== hash || packs[at]! >= TREE_BIT !== (type === "tree")) return false;
    for (let word = 1; word < WORDS; word++)
      if (ids[base + word] !== wordAt(id, idAt + 4 * word)) return false;
    return true;
  }

  /** True when both entries are of the same blob. */
  areOfOne(entry: number, other: number): boolean {
    const left = this.#segments[entry >>> SEGMENT_BITS]!;
    const right = this.#segments[other >>> SEGMENT_BITS]!;
    const leftAt = entry & SEGMENT_MASK;
    const rightAt = other & SEGMENT_MASK;
    if (left.packs[leftAt]! >= TREE_BIT !== right.packs[rightAt]! >= TREE_BIT) return false;
    for (let word = 0; word < WORDS; word++)
      if (left.ids[leftAt * WORDS + word] !== right.ids[rightAt * WORDS + word]) return false;
    return true;
  }

  /** Adds an entry. Plain arguments: an object a blob costs as much as the rest. @returns its number */
  push(
    pack: number,
    type: BlobType,
    id: Uint8Array,
    offset: number,
    length: number,
    uncompressedLength: number,
  ): number {
    const entry = this.#length++;
    const segment = this.#segmentOf(entry);
    const at = entry & SEGMENT_MASK;
    for (let word = 0; word < WORDS; word++) segment.ids[at * WORDS + word] = wordAt(id, 4 * word);
    segment.offsets[at] = offset;
    segment.lengths[at] = length;
    segment.uncompressed[at] = uncompressedLength;
    segment.packs[at] = type === "tree" ? (pack | TREE_BIT) >>> 0 : pack;
    return entry;
  }

  /** Adds all entries of an index file. @param numbers of its packs, in its order */
  append({ ids, offsets, lengths, uncompressed, packs }: IndexColumns, numbers: Uint32Array): void {
    for (let from = 0; from < packs.length; ) {
      const segment = this.#segmentOf(this.#length);
      const at = this.#length & SEGMENT_MASK;
      const to = Math.min(packs.length, from + SEGMENT_ENTRIES - at);
      segment.ids.set(ids.subarray(from * WORDS, to * WORDS), at * WORDS);
      segment.offsets.set(offsets.subarray(from, to), at);
      segment.lengths.set(lengths.subarray(from, to), at);
      segment.uncompressed.set(uncompressed.subarray(from, to), at);
      for (let i = from; i < to; i++) {
        const listed = packs[i]!;
        const pack = numbers[listed & PACK_MASK]!;
        segment.packs[at + i - from] = listed >= TREE_BIT ? (pack | TREE_BIT) >>> 0 : pack;
      }
      this.#length += to - from;
      from = to;
    }
  }

  /** Gives what is known of one entry to another number. */
  move(from: number, to: number): void {
    if (from === to) return;
    const source = this.#segments[from >>> SEGMENT_BITS]!;
    const target = this.#segments[to >>> SEGMENT_BITS]!;
    const at = from & SEGMENT_MASK;
    const into = to & SEGMENT_MASK;
    for (let word = 0; word < WORDS; word++) target.ids[into * WORDS + word] = source.ids[at * WORDS + word]!;
    target.offsets[into] = source.offsets[at]!;
    target.lengths[into] = source.lengths[at]!;
    target.uncompressed[into] = source.uncompressed[at]!;
    target.packs[into] = source.packs[at]!;
  }

  /** Forgets all entries from a number on. */
  truncate(length: number): void {
    this.#length = length;
    this.#segments.length = Math.ceil(length / SEGMENT_ENTRIES);
  }

  /** The segment of an entry that is about to be written. */
  #segmentOf(entry: number): Segment {
    if (entry === this.#segments.length * SEGMENT_ENTRIES) this.#segments.push(newSegment());
    return this.#segments[entry >>> SEGMENT_BITS]!;
  }
}

/** The blobs of an index file one by one, and the places of their packs in its list. */
export function* rowsOf(
  columns: IndexColumns,
): IterableIterator<{ readonly listed: number; readonly blob: PackedBlob }> {
  const { ids, offsets, lengths, uncompressed, packs } = columns;
  for (let i = 0; i < packs.length; i++) {
    const blob: PackedBlob = {
      type: packs[i]! >= TREE_BIT ? "tree" : "data",
      id: readId(ids, i * WORDS),
      offset: offsets[i]!,
      length: lengths[i]!,
      uncompressedLength: uncompressed[i]!,
    };
    yield { listed: packs[i]! & PACK_MASK, blob };
  }
}

/** Whether a pack lists two blobs, or one twice, at one place. Most files list those of a pack in order, which is seen fast. */
export function repeatsPlaces({ offsets, packs }: IndexColumns): boolean {
  for (let start = 0, end = 0; start < packs.length; start = end) {
    const pack = packs[start]! & PACK_MASK;
    let isInOrder = true;
    for (end = start + 1; end < packs.length && (packs[end]! & PACK_MASK) === pack; end++)
      if (offsets[end]! <= offsets[end - 1]!) isInOrder = false;
    if (isInOrder) continue;
    const sorted = offsets.slice(start, end).sort();
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) return true;
  }
  return false;
}

/** The first word of an ID, as `hashOf` has it. */
export function hashOfId(bytes: Uint8Array, at = 0): number {
  return wordAt(bytes, at);
}

function newSegment(): Segment {
  return {
    ids: new Int32Array(SEGMENT_ENTRIES * WORDS),
    offsets: new Uint32Array(SEGMENT_ENTRIES),
    lengths: new Uint32Array(SEGMENT_ENTRIES),
    uncompressed: new Uint32Array(SEGMENT_ENTRIES),
    packs: new Uint32Array(SEGMENT_ENTRIES),
  };
}

/** Four bytes of an ID, little endian on every machine. */
function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function readId(ids: Int32Array, base: number): Id {
  const id = new Uint8Array(ID_LENGTH);
  for (let word = 0; word < WORDS; word++) {
    const value = ids[base + word]!;
    const at = word * 4;
    id[at] = value;
    id[at + 1] = value >>> 8;
    id[at + 2] = value >>> 16;
    id[at + 3] = value >>> 24;
  }
  return id as Id;
}
