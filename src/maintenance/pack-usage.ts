import type { Id } from "../bytes/id.js";
import {
  COMPRESSED_ENTRY_LENGTH,
  HEADER_LENGTH_LENGTH,
  PLAIN_ENTRY_LENGTH,
  SEAL_LENGTH,
} from "../format/pack-header.js";
import type { BlobIndex } from "../repository/blob-index.js";
import type { PruneStatistics } from "./prune-options.js";

/** What lies in a pack, judged by its blobs. */
export const NOTHING = 0;
export const DATA = 1;
export const TREES = 2;
export const MIXED = 3;

/** The state of a blob with copies in several packs of which none was chosen yet is their number; this one is to be taken. */
const LAST = 255;
const MOST_COPIES = 254;

/**
 * How much of each pack is used, in columns by pack number: 38 bytes a pack, and one byte an entry of the index while it
 * is found out. Of a blob with copies in several packs, one counts as used and the others as unused.
 */
export class PackUsage {
  readonly usedBlobs: Uint32Array;
  readonly unusedBlobs: Uint32Array;
  /** Bytes in the pack; the header counts as used. */
  readonly usedBytes: Float64Array;
  readonly unusedBytes: Float64Array;
  readonly types: Uint8Array;
  /** 1 for a pack with a blob that is not compressed. */
  readonly uncompressed: Uint8Array;
  /** Packs that are not there although they are needed: no other pack has all that is used of them. */
  readonly neededMissing: readonly Id[];
  readonly #index: BlobIndex;
  readonly #statistics: PruneStatistics;
  /** At the entry of the first copy of each blob: 0 is unused, 1 is used, all else as `LAST` says. */
  readonly #states: Uint8Array;
  /** Blobs of a pack that have copies in others. */
  readonly #duplicates: Uint32Array;

  /**
   * @param marks as `findUsedBlobs` makes them; becomes the property of the object
   * @param isThere by pack number: 1 if there is such a pack
   * @param statistics is filled with the numbers of blobs and their bytes
   */
  constructor(index: BlobIndex, marks: Uint8Array, isThere: Uint8Array, statistics: PruneStatistics) {
    const packs = index.packEnd;
    this.#index = index;
    this.#states = marks;
    this.#statistics = statistics;
    this.#duplicates = new Uint32Array(packs);
    this.usedBlobs = new Uint32Array(packs);
    this.unusedBlobs = new Uint32Array(packs);
    this.usedBytes = new Float64Array(packs);
    this.unusedBytes = new Float64Array(packs);
    this.types = new Uint8Array(packs);
    this.uncompressed = new Uint8Array(packs);
    this.neededMissing = this.#countCopies(isThere);
    const hasDuplicates = this.#countBlobs(isThere);
    if (hasDuplicates) this.#chooseCopies(isThere);
  }

  /** Bytes of a pack, by the index. */
  size(pack: number): number {
    return this.usedBytes[pack]! + this.unusedBytes[pack]!;
  }

  /** Puts the number of copies in packs that are there in place of the marks. @returns missing packs that are needed */
  #countCopies(isThere: Uint8Array): Id[] {
    const index = this.#index;
    const marks = this.#states.slice();
    this.#states.fill(0);
    for (let entry = 0; entry < marks.length; entry++) {
      if (!index.isLive(entry) || isThere[index.packOf(entry)] === 0) continue;
      const first = index.firstCopy(entry);
      if (marks[first] === 1 && this.#states[first]! < MOST_COPIES) this.#states[first]!++;
    }
    const needed = new Set<number>();
    for (let entry = 0; entry < marks.length; entry++)
      if (marks[entry] === 1 && this.#states[entry] === 0) needed.add(index.packOf(entry));
    return Array.from(needed, (pack) => index.packId(pack));
  }

  /** @returns whether there are blobs with several copies; all of them count as unused so far */
  #countBlobs(isThere: Uint8Array): boolean {
    const index = this.#index;
    const { blobs, bytes } = this.#statistics;
    let hasDuplicates = false;
    for (let entry = 0; entry < this.#states.length; entry++) {
      if (!index.isLive(entry)) continue;
      const pack = index.packOf(entry);
      const length = index.lengthOf(entry);
      this.#noteKind(entry, pack);
      const copies = isThere[pack] === 0 ? 0 : this.#states[index.firstCopy(entry)]!;
      if (copies === 1) {
        this.usedBlobs[pack]!++;
        this.usedBytes[pack]! += length;
        blobs.used++;
        bytes.used += length;
        continue;
      }
      this.unusedBlobs[pack]!++;
      this.unusedBytes[pack]! += length;
      if (copies > 1) {
        hasDuplicates = true;
        this.#duplicates[pack]!++;
        blobs.duplicate++;
        bytes.duplicate += length;
      } else {
        blobs.unused++;
        bytes.unused += length;
      }
    }
    return hasDuplicates;
  }

  /** Type, compression and the share in the header of the pack. */
  #noteKind(entry: number, pack: number): void {
    const type = this.#index.typeOf(entry) === "tree" ? TREES : DATA;
    const before = this.types[pack]!;
    if (before === NOTHING) {
      this.types[pack] = type;
      this.usedBytes[pack] = SEAL_LENGTH + HEADER_LENGTH_LENGTH;
    } else if (before !== type) {
      this.types[pack] = MIXED;
    }
    const isCompressed = this.#index.uncompressedLengthOf(entry) > 0;
    if (!isCompressed) this.uncompressed[pack] = 1;
    this.usedBytes[pack]! += isCompressed ? COMPRESSED_ENTRY_LENGTH : PLAIN_ENTRY_LENGTH;
  }

  /**
   * Takes one copy of each blob that has several: preferably in a pack that has other used blobs, or nothing but copies,
   * as the packs have that an interrupted prune has written; the last one where there was no such pack.
   */
  #chooseCopies(isThere: Uint8Array): void {
    const index = this.#index;
    const { blobs, bytes } = this.#statistics;
    for (let entry = 0; entry < this.#states.length; entry++) {
      if (!index.isLive(entry)) continue;
      const pack = index.packOf(entry);
      if (isThere[pack] === 0) continue;
      const first = index.firstCopy(entry);
      const state = this.#states[first]!;
      if (state <= 1) continue;
      const isFull = this.#duplicates[pack] === this.unusedBlobs[pack];
      if (this.usedBlobs[pack] === 0 && !isFull && state !== LAST) {
        this.#states[first] = state === 2 ? LAST : state - 1;
        continue;
      }
      const length = index.lengthOf(entry);
      this.#states[first] = 1;
      this.usedBlobs[pack]!++;
      this.usedBytes[pack]! += length;
      this.unusedBlobs[pack]!--;
      this.unusedBytes[pack]! -= length;
      blobs.used++;
      bytes.used += length;
      blobs.duplicate--;
      bytes.duplicate -= length;
    }
  }

  /**
   * Which entries have to be copied when some packs go: for each blob that is used and in none of the others, one.
   *
   * @param fate by pack number: 0 stays, 1 is repacked, 2 goes without being read
   * @returns one byte an entry: 1 for those to be copied; all of them lie in packs that are repacked
   */
  entriesToCopy(fate: Uint8Array): Uint8Array {
    const index = this.#index;
    const end = this.#states.length;
    const isSafe = new Uint8Array(end);
    const chosen = new Uint8Array(end);
    for (const wanted of [0, 1]) {
      for (let entry = 0; entry < end; entry++) {
        if (!index.isLive(entry) || fate[index.packOf(entry)] !== wanted) continue;
        const first = index.firstCopy(entry);
        if (this.#states[first] === 0 || isSafe[first] === 1) continue;
        isSafe[first] = 1;
        if (wanted === 1) chosen[entry] = 1;
      }
    }
    for (let entry = 0; entry < end; entry++)
      if (this.#states[entry]! > 0 && isSafe[entry] === 0)
        throw new Error("a blob that is used would have been lost; nothing was changed");
    return chosen;
  }
}
