import type { BlobType } from "../format/blob.js";
import { type BlobColumns, hashOfId } from "./blob-columns.js";

const MAX_LOAD = 0.75;
const MIN_SLOTS = 1024;

/**
 * Finds the entries of a blob: a table of entry numbers with open addressing, 5 to 11 bytes an entry. SHA-256 is
 * uniform, so the first word of an ID is its hash. Entries of one blob are found in the order in which they were added.
 */
export class EntrySlots {
  readonly #columns: BlobColumns;
  /** Entry number + 1, 0 for free ones. */
  #slots = new Uint32Array(MIN_SLOTS);

  /** @param columns what the entries are of */
  constructor(columns: BlobColumns) {
    this.#columns = columns;
  }

  /** Memory in bytes. */
  get byteLength(): number {
    return this.#slots.byteLength;
  }

  /** Makes room for entries that are about to be added to the columns, and then to the table. */
  makeRoom(entries: number): void {
    const length = slotsFor(this.#columns.length + entries, this.#slots.length);
    if (length > this.#slots.length) this.#rebuild(length);
  }

  /** Takes in an entry, for which there is room. */
  insert(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#columns.hashOf(entry) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  /** Makes the table anew, as small as it can be: after entries have moved, or are gone. */
  rebuild(): void {
    this.#rebuild(slotsFor(this.#columns.length, MIN_SLOTS));
  }

  /**
   * Looks at the entries of a blob until one is accepted.
   *
   * @param at where in the bytes the ID begins
   * @returns that entry, or -1
   */
  find(type: BlobType, id: Uint8Array, accepts: (entry: number) => boolean, at = 0): number {
    const columns = this.#columns;
    const slots = this.#slots;
    const hash = hashOfId(id, at);
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const stored = slots[slot]!;
      if (stored === 0) return -1;
      const entry = stored - 1;
      if (columns.isOf(entry, type, id, hash, at) && accepts(entry)) return entry;
    }
  }

  /** The same of the blob that an entry is of. @returns the entry itself where none before it is accepted */
  findBefore(entry: number, accepts: (entry: number) => boolean): number {
    const columns = this.#columns;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = columns.hashOf(entry) & mask; ; slot = (slot + 1) & mask) {
      const other = slots[slot]! - 1;
      if (other === entry || other < 0) return entry;
      if (columns.areOfOne(entry, other) && accepts(other)) return other;
    }
  }

  #rebuild(length: number): void {
    this.#slots = new Uint32Array(length);
    for (let entry = 0; entry < this.#columns.length; entry++) this.insert(entry);
  }
}

/** The length of a table for so many entries, a power of two. */
function slotsFor(entries: number, atLeast: number): number {
  let length = atLeast;
  while (entries > length * MAX_LOAD) length *= 2;
  return length;
}
