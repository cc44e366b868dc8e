import { formatId, ID_LENGTH, type Id, type IdList } from "../bytes/id.js";
import type { IndexColumns } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import { BlobColumns, repeatsPlaces, rowsOf, SEGMENT_ENTRIES } from "./blob-columns.js";
import { EntrySlots } from "./entry-slots.js";
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

/**
 * The index in memory: for every blob of the repository, the packs that hold it.
 *
 * A repository of 10 million blobs is ordinary, so there are no objects: entries lie in typed columns (48 bytes each) and
 * are found through a table of entry numbers (5 to 11 bytes each). That is at most 59 bytes a blob, about 40 a pack, and
 * one segment of up to 400 KB that is not full. Copies of a blob in several packs are all kept, and found in the order in
 * which they were added.
 *
 * An index file that vanished takes its entries along: each pack counts the index files that list it, and the
 * entries of a pack with a count of zero are dead. Every look-up skips them, and they are swept out when they
 * are half of all.
 */
export class BlobIndex {
  /** All entries, dead ones included. */
  readonly #columns = new BlobColumns();
  readonly #slots = new EntrySlots(this.#columns);
  #packIds = new IdNumbers();
  /** How many index files (or pending packs) list a pack; 0 is dead. */
  #references: number[] = [];
  /** Entries of each pack in the columns. */
  #packEntries: number[] = [];
  /** Packs that were listed again when they had entries already, or out of order: only these can repeat themselves. */
  readonly #relisted = new Set<number>();
  /** Where `addBlob` was last. */
  #lastAdded = { pack: -1, offset: 0 };
  #live = 0;
  #livePacks = 0;
  /** Iterations under way; entries must not move while there are any. */
  #iterating = 0;
  readonly #isLive = (entry: number) => this.isLive(entry);

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
    return this.#columns.byteLength + this.#slots.byteLength + this.#packIds.byteLength;
  }

  /**
   * Bytes that all entries take up in their packs. Walks over the index: for now and then, not for every
   * request.
   */
  get storedBytes(): number {
    let bytes = 0;
    for (let entry = 0; entry < this.#columns.length; entry++) {
      if (this.isLive(entry)) bytes += this.#columns.lengthOf(entry);
    }
    return bytes;
  }

  /**
   * Entry numbers are below this, those of dead entries among them. What is known of each blob can be kept in a typed
   * array of this length, as long as the index is pinned.
   */
  get entryEnd(): number {
    return this.#columns.length;
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
    return this.#columns.packOf(entry);
  }

  typeOf(entry: number): BlobType {
    return this.#columns.isTree(entry) ? "tree" : "data";
  }

  /** Where an entry begins in its pack, in bytes. */
  offsetOf(entry: number): number {
    return this.#columns.offsetOf(entry);
  }

  /** Bytes of an entry in its pack. */
  lengthOf(entry: number): number {
    return this.#columns.lengthOf(entry);
  }

  /** Plaintext length of a compressed blob; 0 when it is not compressed. */
  uncompressedLengthOf(entry: number): number {
    return this.#columns.uncompressedLengthOf(entry);
  }

  /** The ID of the blob that an entry is of. */
  idOf(entry: number): Id {
    return this.#columns.idOf(entry);
  }

  /** All about one entry. */
  blobOf(entry: number): PackedBlob {
    return this.#columns.blobOf(entry);
  }

  /** The number of the first copy of a blob; -1 when no index file knows it. */
  entryOf(type: BlobType, id: Uint8Array): number {
    return this.#slots.find(type, id, this.#isLive);
  }

  /** The number of the first copy of the blob that an entry is a copy of. */
  firstCopy(entry: number): number {
    return this.#slots.findBefore(entry, this.#isLive);
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
    return this.entryOf(type, id) >= 0;
  }

  /** Whether it knows every blob of a list, without a view of each ID. */
  hasAll(type: BlobType, { bytes }: IdList): boolean {
    for (let at = 0; at < bytes.length; at += ID_LENGTH)
      if (this.#slots.find(type, bytes, this.#isLive, at) < 0) return false;
    return true;
  }

  /** The first copy of a blob. */
  lookup(type: BlobType, id: Uint8Array): BlobLocation | undefined {
    const entry = this.entryOf(type, id);
    return entry < 0 ? undefined : this.#locationOf(entry);
  }

  /** All copies of a blob. */
  lookupAll(type: BlobType, id: Uint8Array): BlobLocation[] {
    const found: BlobLocation[] = [];
    this.#slots.find(type, id, (entry) => {
      if (this.isLive(entry)) found.push(this.#locationOf(entry));
      return false;
    });
    return found;
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
    const last = this.#lastAdded;
    if (pack === last.pack && offset <= last.offset) this.#relisted.add(pack);
    last.pack = pack;
    last.offset = offset;
    if (this.#holds(pack, type, id, offset)) return;
    this.#slots.makeRoom(1);
    const entry = this.#columns.push(pack, type, id, offset, length, uncompressedLength);
    this.#packEntries[pack]!++;
    this.#live++;
    this.#slots.insert(entry);
  }

  /**
   * Takes in a whole index file. Its columns are copied as they are; only what is listed again is looked at blob by
   * blob.
   *
   * @returns the numbers of its packs, for `release`
   */
  addColumns(columns: IndexColumns): Uint32Array {
    const numbers = new Uint32Array(columns.packIds.length / ID_LENGTH);
    let isNew = !repeatsPlaces(columns);
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
    for (const { listed, blob } of rowsOf(columns))
      this.addBlob(numbers[listed]!, blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength);
  }

  #append(columns: IndexColumns, numbers: Uint32Array): void {
    const first = this.#columns.length;
    this.#slots.makeRoom(columns.packs.length);
    this.#columns.append(columns, numbers);
    for (let entry = first; entry < this.#columns.length; entry++) {
      this.#packEntries[this.#columns.packOf(entry)]!++;
      this.#slots.insert(entry);
    }
    this.#live += this.#columns.length - first;
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
    if (
      this.#iterating === 0 &&
      this.#columns.length > SEGMENT_ENTRIES &&
      this.#live < this.#columns.length / 2
    )
      this.#sweep();
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
    for (let entry = 0; entry < this.#columns.length; entry++) {
      if (this.#columns.isTree(entry)) numbers.add(this.packOf(entry));
    }
    const live = [...numbers].filter((pack) => this.#references[pack]! > 0);
    return new Set(live.map((pack) => formatId(this.#packIds.at(pack))));
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#iterating > 0) throw new Error("the index is in use");
    this.#columns.truncate(0);
    this.#slots.rebuild();
    this.#packIds = new IdNumbers();
    this.#references = [];
    this.#packEntries = [];
    this.#relisted.clear();
    this.#lastAdded = { pack: -1, offset: 0 };
    this.#live = 0;
    this.#livePacks = 0;
  }

  /** All entries in the order in which they were added; what is added while it runs is left out. */
  *entries(): IterableIterator<PackedBlob & { readonly packId: Id }> {
    const end = this.#columns.length;
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

  /** True when the pack has this blob at this place already, dead or alive. */
  #holds(pack: number, type: BlobType, id: Uint8Array, offset: number): boolean {
    if (!this.#relisted.has(pack)) return false;
    const isThere = (entry: number) => this.packOf(entry) === pack && this.offsetOf(entry) === offset;
    return this.#slots.find(type, id, isThere) >= 0;
  }

  #locationOf(entry: number): BlobLocation {
    return {
      packId: this.#packIds.at(this.packOf(entry)),
      offset: this.offsetOf(entry),
      length: this.lengthOf(entry),
      uncompressedLength: this.uncompressedLengthOf(entry),
    };
  }

  /** Drops dead entries: the live ones move up, in their order. Pack numbers stay what they are. */
  #sweep(): void {
    let kept = 0;
    for (let entry = 0; entry < this.#columns.length; entry++) {
      if (this.isLive(entry)) this.#columns.move(entry, kept++);
    }
    this.#columns.truncate(kept);
    for (let pack = 0; pack < this.#packIds.length; pack++)
      if (this.#references[pack] === 0) this.#packEntries[pack] = 0;
    this.#slots.rebuild();
  }

  /**
   * Entry numbers sorted by pack (a counting sort): those of pack p are at `starts[p]` up to `starts[p + 1]`.
   */
  #sortByPack(): { order: Uint32Array; starts: Uint32Array } {
    const starts = new Uint32Array(this.#packIds.length + 1);
    for (let pack = 0; pack < this.#packIds.length; pack++)
      starts[pack + 1] = starts[pack]! + this.#packEntries[pack]!;
    const next = starts.slice();
    const order = new Uint32Array(this.#columns.length);
    for (let entry = 0; entry < this.#columns.length; entry++) order[next[this.packOf(entry)]!++] = entry;
    return { order, starts };
  }
}
