import { formatId, ID_LENGTH, type Id } from "../bytes/id.js";
import { INDEX_TREE_BIT, type IndexColumns } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import type { PackStretch } from "./blob-loader.js";
import { IdNumbers } from "./id-numbers.js";

/** Where one copy of a blob lies. */
export interface BlobLocation {
  readonly packId: Id;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes in the pack, `SEAL_OVERHEAD` included. */
  readonly length: number;
  /** Plaintext length of a compressed blob; 0 when it is not compressed. */
  readonly uncompressedLength: number;
}

const WORDS = ID_LENGTH / 4;
/** Entries in a segment: columns grow by whole segments, so that growing never copies what is there. */
const SEGMENT_BITS = 13;
const SEGMENT_SIZE = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_SIZE - 1;
const MAX_LOAD = 0.75;
/** A pack is cut into no more parts; the last takes what is left. */
const MAX_PARTS = 1 << 20;
/** Marks a tree in the column of pack numbers. */
const TREE_BIT = INDEX_TREE_BIT;
const PACK_MASK = 0x7fff_ffff;

/** The columns of 8,192 entries: 48 bytes an entry. */
interface Segment {
  readonly ids: Int32Array;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  readonly uncompressed: Uint32Array;
  /** Pack number, with `TREE_BIT` for trees. */
  readonly packs: Uint32Array;
}

/**
 * The index in memory: for every blob of the repository, the packs that hold it.
 *
 * A repository of 10 million blobs is ordinary, so there are no objects: entries lie in typed columns (48
 * bytes each) and are found through a table of entry numbers with open addressing (5 to 11 bytes each). That
 * is at most 59 bytes a blob, about 40 a pack, and one segment of up to 400 KB that is not full. SHA-256 is uniform, so the first word of an ID is its hash. Copies of a blob in several packs are all
 * kept, and found in the order in which they were added.
 *
 * An index file that vanished takes its entries along: each pack counts the index files that list it, and the
 * entries of a pack with a count of zero are dead. Every look-up skips them, and they are swept out when they
 * are half of all.
 */
export class BlobIndex {
  #segments: Segment[] = [];
  #slots = new Uint32Array(1024);
  /** Entries in the columns, dead ones included. */
  #used = 0;
  #packIds = new IdNumbers();
  /** How many index files (or pending packs) list a pack; 0 is dead. */
  #references: number[] = [];
  /** Entries of each pack in the columns. */
  #packEntries: number[] = [];
  /** Packs that were listed again when they had entries already: only these can repeat themselves. */
  readonly #relisted = new Set<number>();
  #live = 0;
  #livePacks = 0;
  /** Iterations under way; entries must not move while there are any. */
  #iterating = 0;

  /** Entries, copies of the same blob counted each. */
  get size(): number {
    return this.#live;
  }

  /** Packs that at least one index file lists. */
  get packCount(): number {
    return this.#livePacks;
  }

  /** Memory of the columns and the tables, in bytes. */
  get byteLength(): number {
    return this.#segments.length * SEGMENT_SIZE * 48 + this.#slots.byteLength + this.#packIds.byteLength;
  }

  /**
   * Bytes that all entries take up in their packs. Walks over the index: for now and then, not for every
   * request.
   */
  get storedBytes(): number {
    let bytes = 0;
    for (let entry = 0; entry < this.#used; entry++) {
      if (this.isLive(entry)) bytes += this.#segments[entry >>> SEGMENT_BITS]!.lengths[entry & SEGMENT_MASK]!;
    }
    return bytes;
  }

  /**
   * Entry numbers are below this, those of dead entries among them. What is known of each blob can be kept in a typed
   * array of this length, as long as the index is pinned.
   */
  get entryEnd(): number {
    return this.#used;
  }

  /** Pack numbers are below this. */
  get packEnd(): number {
    return this.#packIds.length;
  }

  /** Lets no entry change its number until the returned function is called. Entries may still be added, and die. */
  pin(): () => void {
    let isPinned = true;
    this.#iterating++;
    return () => {
      if (isPinned) this.#iterating--;
      isPinned = false;
    };
  }

  isLive(entry: number): boolean {
    return this.#references[this.packOf(entry)]! > 0;
  }

  /** The number of an entry's pack. */
  packOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.packs[entry & SEGMENT_MASK]! & PACK_MASK;
  }

  typeOf(entry: number): BlobType {
    return this.#segments[entry >>> SEGMENT_BITS]!.packs[entry & SEGMENT_MASK]! >= TREE_BIT ? "tree" : "data";
  }

  /** Bytes of an entry in its pack. */
  lengthOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.lengths[entry & SEGMENT_MASK]!;
  }

  /** Plaintext length of a compressed blob; 0 when it is not compressed. */
  uncompressedLengthOf(entry: number): number {
    return this.#segments[entry >>> SEGMENT_BITS]!.uncompressed[entry & SEGMENT_MASK]!;
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

  /** The number of the first copy of a blob; -1 when no index file knows it. */
  entryOf(type: BlobType, id: Uint8Array): number {
    let found = -1;
    this.#find(type, id, (entry) => {
      found = entry;
      return true;
    });
    return found;
  }

  /** The number of the first copy of the blob that an entry is a copy of. */
  firstCopy(entry: number): number {
    const { ids, packs } = this.#segments[entry >>> SEGMENT_BITS]!;
    const base = (entry & SEGMENT_MASK) * WORDS;
    const isTree = packs[entry & SEGMENT_MASK]! >= TREE_BIT;
    const mask = this.#slots.length - 1;
    for (let slot = ids[base]! & mask; ; slot = (slot + 1) & mask) {
      const other = this.#slots[slot]! - 1;
      if (other === entry || other < 0) return entry;
      const segment = this.#segments[other >>> SEGMENT_BITS]!;
      const at = (other & SEGMENT_MASK) * WORDS;
      if (segment.packs[other & SEGMENT_MASK]! >= TREE_BIT !== isTree) continue;
      let word = 0;
      while (word < WORDS && segment.ids[at + word] === ids[base + word]) word++;
      if (word === WORDS && this.isLive(other)) return other;
    }
  }

  /** The ID of the pack with a number. */
  packId(pack: number): Id {
    return this.#packIds.at(pack);
  }

  /** True for a pack that was listed without a blob. */
  isEmptyPack(pack: number): boolean {
    return this.#packEntries[pack] === 0;
  }

  /** The number of a pack that an index file lists. */
  packNumber(packId: Uint8Array): number | undefined {
    const pack = this.#packIds.numberOf(packId);
    return pack >= 0 && this.#references[pack]! > 0 ? pack : undefined;
  }

  has(type: BlobType, id: Uint8Array): boolean {
    return this.#find(type, id, () => true);
  }

  /** The first copy of a blob. */
  lookup(type: BlobType, id: Uint8Array): BlobLocation | undefined {
    let found: BlobLocation | undefined;
    this.#find(type, id, (entry) => {
      found = this.#locationOf(entry);
      return true;
    });
    return found;
  }

  /** All copies of a blob. */
  lookupAll(type: BlobType, id: Uint8Array): BlobLocation[] {
    const found: BlobLocation[] = [];
    this.#find(type, id, (entry) => {
      found.push(this.#locationOf(entry));
      return false;
    });
    return found;
  }

  /**
   * The blobs of the same type that stand behind the first copy of one in its pack, up to so many bytes of plaintext.
   * Index files list packs in the order of the offsets; where one does not, fewer are found.
   */
  following(type: BlobType, id: Uint8Array, maxBytes: number): Id[] {
    const found: Id[] = [];
    this.#find(type, id, (entry) => {
      const pack = this.packOf(entry);
      let offset = this.#locationOf(entry).offset;
      let bytes = 0;
      for (let next = entry + 1; next < this.#used && this.packOf(next) === pack; next++) {
        const blob = this.blobOf(next);
        bytes += blob.uncompressedLength || blob.length;
        if (blob.type !== type || blob.offset <= offset || bytes > maxBytes) break;
        offset = blob.offset;
        found.push(blob.id);
      }
      return true;
    });
    return found;
  }

  /** The part of its pack that the first copy of a blob begins in, the pack being cut into parts of so many bytes. */
  stretch(type: BlobType, id: Uint8Array, stretchBytes: number): PackStretch | undefined {
    let found: PackStretch | undefined;
    this.#find(type, id, (entry) => {
      const part = this.#partOf(entry, stretchBytes);
      found = {
        key: this.packOf(entry) * MAX_PARTS + part,
        ids: (maxBlobBytes) => this.#idsInPart(type, id, stretchBytes, maxBlobBytes),
      };
      return true;
    });
    return found;
  }

  #partOf(entry: number, partBytes: number): number {
    const { offset } = this.#locationOf(entry);
    return Math.min(Math.floor(offset / partBytes), MAX_PARTS - 1);
  }

  #idsInPart(type: BlobType, id: Uint8Array, partBytes: number, maxBlobBytes: number): Id[] {
    const found: Id[] = [];
    // Looked for again: entries may have moved since.
    this.#find(type, id, (entry) => {
      const pack = this.packOf(entry);
      const part = this.#partOf(entry, partBytes);
      const isWithin = (other: number) =>
        other >= 0 &&
        other < this.#used &&
        this.packOf(other) === pack &&
        this.#partOf(other, partBytes) === part;
      let first = entry;
      while (isWithin(first - 1)) first--;
      for (let other = first; isWithin(other); other++) {
        const blob = this.blobOf(other);
        if (blob.type === type && (blob.uncompressedLength || blob.length) <= maxBlobBytes)
          found.push(blob.id);
      }
      return true;
    });
    return found;
  }

  hasPack(packId: Uint8Array): boolean {
    return this.packNumber(packId) !== undefined;
  }

  /**
   * Takes in what one index file says about a pack, or a pack just saved. Entries that are known for this
   * very place are not repeated.
   * @returns the pack's number, for `release`
   */
  add(packId: Uint8Array, blobs: Iterable<PackedBlob>): number {
    const pack = this.retain(packId);
    for (const blob of blobs)
      this.addBlob(pack, blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength);
    return pack;
  }

  /**
   * Counts one more index file that lists the pack. @returns the pack's number, for `addBlob` and `release`
   */
  retain(packId: Uint8Array): number {
    const pack = this.#packIds.add(packId);
    if (pack === this.#references.length) {
      this.#references.push(0);
      this.#packEntries.push(0);
    }
    if (this.#packEntries[pack]! > 0) this.#relisted.add(pack);
    if (this.#references[pack]!++ === 0) {
      this.#livePacks++;
      this.#live += this.#packEntries[pack]!;
    }
    return pack;
  }

  /**
   * Adds one blob of a pack that is retained. Plain arguments: an object a blob costs as much as the rest.
   */
  addBlob(
    pack: number,
    type: BlobType,
    id: Uint8Array,
    offset: number,
    length: number,
    uncompressedLength: number,
  ): void {
    if (this.#holds(pack, type, id, offset)) return;
    if (this.#used + 1 > this.#slots.length * MAX_LOAD) this.#rebuildSlots(this.#slots.length * 2);
    if (this.#used === this.#segments.length * SEGMENT_SIZE) this.#segments.push(newSegment());
    const entry = this.#used++;
    const segment = this.#segments[entry >>> SEGMENT_BITS]!;
    const at = entry & SEGMENT_MASK;
    for (let word = 0; word < WORDS; word++) segment.ids[at * WORDS + word] = wordOf(id, word);
    segment.offsets[at] = offset;
    segment.lengths[at] = length;
    segment.uncompressed[at] = uncompressedLength;
    segment.packs[at] = type === "tree" ? (pack | TREE_BIT) >>> 0 : pack;
    this.#packEntries[pack]!++;
    this.#live++;
    this.#insertSlot(entry, segment.ids[at * WORDS]!);
  }

  /**
   * Takes in a whole index file. Its columns are copied as they are; only what is listed again is looked at blob by
   * blob.
   *
   * @returns the numbers of its packs, for `release`
   */
  addColumns(columns: IndexColumns): Uint32Array {
    const numbers = new Uint32Array(columns.packIds.length / ID_LENGTH);
    let isNew = true;
    for (let i = 0; i < numbers.length; i++) {
      const pack = this.retain(columns.packIds.subarray(i * ID_LENGTH, (i + 1) * ID_LENGTH));
      numbers[i] = pack;
      if (this.#references[pack]! === 1 && this.#packEntries[pack] === 0) continue;
      this.#relisted.add(pack);
      isNew = false;
    }
    if (isNew) this.#append(columns, numbers);
    else this.#addEach(columns, numbers);
    return numbers;
  }

  #addEach(columns: IndexColumns, numbers: Uint32Array): void {
    const { ids, offsets, lengths, uncompressed, packs } = columns;
    for (let i = 0; i < packs.length; i++) {
      const pack = numbers[packs[i]! & PACK_MASK]!;
      const type = packs[i]! >= TREE_BIT ? "tree" : "data";
      this.addBlob(pack, type, readId(ids, i * WORDS), offsets[i]!, lengths[i]!, uncompressed[i]!);
    }
  }

  #append(columns: IndexColumns, numbers: Uint32Array): void {
    const { ids, offsets, lengths, uncompressed, packs } = columns;
    const count = packs.length;
    let size = this.#slots.length;
    while (this.#used + count > size * MAX_LOAD) size *= 2;
    if (size > this.#slots.length) this.#rebuildSlots(size);
    for (let from = 0; from < count; ) {
      if (this.#used === this.#segments.length * SEGMENT_SIZE) this.#segments.push(newSegment());
      const segment = this.#segments[this.#used >>> SEGMENT_BITS]!;
      const at = this.#used & SEGMENT_MASK;
      const to = Math.min(count, from + SEGMENT_SIZE - at);
      segment.ids.set(ids.subarray(from * WORDS, to * WORDS), at * WORDS);
      segment.offsets.set(offsets.subarray(from, to), at);
      segment.lengths.set(lengths.subarray(from, to), at);
      segment.uncompressed.set(uncompressed.subarray(from, to), at);
      for (let i = from; i < to; i++) {
        const listed = packs[i]!;
        const pack = numbers[listed & PACK_MASK]!;
        segment.packs[at + i - from] = listed >= TREE_BIT ? (pack | TREE_BIT) >>> 0 : pack;
        this.#packEntries[pack]!++;
        this.#insertSlot(this.#used++, ids[i * WORDS]!);
      }
      from = to;
    }
    this.#live += count;
  }

  /**
   * Takes the count of an index file off the packs that it listed; packs that none lists any more are gone.
   */
  release(packs: Iterable<number>): void {
    for (const pack of packs) {
      if (--this.#references[pack]! > 0) continue;
      this.#livePacks--;
      this.#live -= this.#packEntries[pack]!;
    }
    if (this.#iterating === 0 && this.#used > SEGMENT_SIZE && this.#live < this.#used / 2) this.#sweep();
  }

  /**
   * All entries, grouped by pack and by offset within; what is added while it runs is left out.
   *
   * @param wanted which packs, and which entries of them, by their numbers; all when left out
   */
  *packs(
    wanted: { readonly pack?: (pack: number) => boolean; readonly entry?: (entry: number) => boolean } = {},
  ): IterableIterator<IndexedPack> {
    const { order, starts } = this.#sortByPack();
    this.#iterating++;
    try {
      for (let pack = 0; pack + 1 < starts.length; pack++) {
        if (this.#references[pack] === 0 || wanted.pack?.(pack) === false) continue;
        const blobs: PackedBlob[] = [];
        for (let i = starts[pack]!; i < starts[pack + 1]!; i++)
          if (wanted.entry?.(order[i]!) !== false) blobs.push(this.blobOf(order[i]!));
        yield { packId: this.#packIds.at(pack), blobs: blobs.sort((a, b) => a.offset - b.offset) };
      }
    } finally {
      this.#iterating--;
    }
  }

  /** The packs that hold a tree, by their IDs in hex. Walks over the index. */
  treePacks(): Set<string> {
    const numbers = new Set<number>();
    for (let entry = 0; entry < this.#used; entry++) {
      const pack = this.#segments[entry >>> SEGMENT_BITS]!.packs[entry & SEGMENT_MASK]!;
      if (pack & TREE_BIT) numbers.add(pack & PACK_MASK);
    }
    const live = [...numbers].filter((pack) => this.#references[pack]! > 0);
    return new Set(live.map((pack) => formatId(this.#packIds.at(pack))));
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#iterating > 0) throw new Error("the index is in use");
    this.#segments = [];
    this.#slots = new Uint32Array(1024);
    this.#packIds = new IdNumbers();
    this.#references = [];
    this.#packEntries = [];
    this.#relisted.clear();
    this.#used = 0;
    this.#live = 0;
    this.#livePacks = 0;
  }

  /** All entries in the order in which they were added; what is added while it runs is left out. */
  *entries(): IterableIterator<PackedBlob & { readonly packId: Id }> {
    const end = this.#used;
    this.#iterating++;
    try {
      for (let entry = 0; entry < end; entry++) {
        const pack = this.packOf(entry);
        if (this.#references[pack]! > 0) yield { ...this.blobOf(entry), packId: this.#packIds.at(pack) };
      }
    } finally {
      this.#iterating--;
    }
  }

  /** Walks the copies of a blob that are alive until `visit` says that it has enough. */
  #find(type: BlobType, id: Uint8Array, visit: (entry: number) => boolean): boolean {
    const first = wordOf(id, 0);
    const mask = this.#slots.length - 1;
    for (let slot = first & mask; ; slot = (slot + 1) & mask) {
      const stored = this.#slots[slot]!;
      if (stored === 0) return false;
      const entry = stored - 1;
      if (this.#matches(entry, type, id, first) && this.isLive(entry) && visit(entry)) return true;
    }
  }

  #matches(entry: number, type: BlobType, id: Uint8Array, first: number): boolean {
    const { ids, packs } = this.#segments[entry >>> SEGMENT_BITS]!;
    const at = entry & SEGMENT_MASK;
    const base = at * WORDS;
    if (ids[base] !== first || packs[at]! >= TREE_BIT !== (type === "tree")) return false;
    for (let word = 1; word < WORDS; word++) if (ids[base + word] !== wordOf(id, word)) return false;
    return true;
  }

  /** True when the pack has this blob at this place already, dead or alive. */
  #holds(pack: number, type: BlobType, id: Uint8Array, offset: number): boolean {
    if (!this.#relisted.has(pack)) return false;
    const first = wordOf(id, 0);
    const mask = this.#slots.length - 1;
    for (let slot = first & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]! - 1;
      if (this.packOf(entry) !== pack || !this.#matches(entry, type, id, first)) continue;
      if (this.#segments[entry >>> SEGMENT_BITS]!.offsets[entry & SEGMENT_MASK] === offset) return true;
    }
    return false;
  }

  #locationOf(entry: number): BlobLocation {
    const segment = this.#segments[entry >>> SEGMENT_BITS]!;
    const at = entry & SEGMENT_MASK;
    return {
      packId: this.#packIds.at(segment.packs[at]! & PACK_MASK),
      offset: segment.offsets[at]!,
      length: segment.lengths[at]!,
      uncompressedLength: segment.uncompressed[at]!,
    };
  }

  #insertSlot(entry: number, first: number): void {
    const mask = this.#slots.length - 1;
    let slot = first & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #rebuildSlots(length: number): void {
    this.#slots = new Uint32Array(length);
    for (let entry = 0; entry < this.#used; entry++) {
      const { ids } = this.#segments[entry >>> SEGMENT_BITS]!;
      this.#insertSlot(entry, ids[(entry & SEGMENT_MASK) * WORDS]!);
    }
  }

  /** Drops dead entries: the live ones move up, in their order. Pack numbers stay what they are. */
  #sweep(): void {
    let kept = 0;
    for (let entry = 0; entry < this.#used; entry++) {
      if (this.isLive(entry)) this.#moveEntry(entry, kept++);
    }
    this.#used = kept;
    this.#segments.length = Math.ceil(kept / SEGMENT_SIZE);
    for (let pack = 0; pack < this.#packIds.length; pack++)
      if (this.#references[pack] === 0) this.#packEntries[pack] = 0;
    let length = 1024;
    while (kept > length * MAX_LOAD) length *= 2;
    this.#rebuildSlots(length);
  }

  #moveEntry(from: number, to: number): void {
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

  /**
   * Entry numbers sorted by pack (a counting sort): those of pack p are at `starts[p]` up to `starts[p + 1]`.
   */
  #sortByPack(): { order: Uint32Array; starts: Uint32Array } {
    const starts = new Uint32Array(this.#packIds.length + 1);
    for (let pack = 0; pack < this.#packIds.length; pack++)
      starts[pack + 1] = starts[pack]! + this.#packEntries[pack]!;
    const next = starts.slice();
    const order = new Uint32Array(this.#used);
    for (let entry = 0; entry < this.#used; entry++) order[next[this.packOf(entry)]!++] = entry;
    return { order, starts };
  }
}

function newSegment(): Segment {
  return {
    ids: new Int32Array(SEGMENT_SIZE * WORDS),
    offsets: new Uint32Array(SEGMENT_SIZE),
    lengths: new Uint32Array(SEGMENT_SIZE),
    uncompressed: new Uint32Array(SEGMENT_SIZE),
    packs: new Uint32Array(SEGMENT_SIZE),
  };
}

/** Word number `word` of an ID, little endian on every machine. */
function wordOf(id: Uint8Array, word: number): number {
  const at = word * 4;
  return id[at]! | (id[at + 1]! << 8) | (id[at + 2]! << 16) | (id[at + 3]! << 24);
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
