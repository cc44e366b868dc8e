/**
 * Decides what to load before it is asked for. Two patterns are known: a file that is read from front to back, and a
 * directory whose small files are read one after the other (in whatever order: cp and fts sort by inode number).
 * Both windows start small and grow with each success, up to a bound in bytes, so that one stray read costs little.
 */

import { LRUCache } from "lru-cache";

export interface ReadAheadOptions {
  /** Bytes that may be ahead of all readers together; 32 MiB when left out. */
  readonly maxBytes?: number;
}

const DEFAULT_READ_AHEAD_BYTES = 32 * 1024 * 1024;
/**
 * One reader alone gets no more. With requests of a quarter of it, four are under way: enough for 400 MB/s from a
 * backend that takes 50 ms for each.
 */
const MAX_WINDOW_BYTES = 24 * 1024 * 1024;
/** A reader that was not heard of for so many reads shares with nobody any more. */
const ACTIVE_READS = 256;

const FIRST_WINDOW_BYTES = 2 * 1024 * 1024;
/** Windows grow by this: over a slow line each step costs a whole answer. */
const GROWTH = 4;
/** The kernel sends the requests of one readahead in parallel, so they come a little out of order. */
const REORDER_BYTES = 4 * 1024 * 1024;
const MAX_READERS = 256;
/** More often to somewhere else than on makes a reader one who reads here and there. */
const SCATTERED_JUMPS = 8;

interface Reader {
  /** Where the furthest read so far has ended. */
  end: number;
  /** Up to where loading was asked for. */
  ahead: number;
  window: number;
  /** When it was last heard of, in reads of all. */
  at: number;
  /** How often it went somewhere else. */
  jumps: number;
}

/** A range of a file that is worth loading now, in bytes. */
export interface AheadRange {
  readonly from: number;
  readonly to: number;
}

/** Sequential readers, by any number that names a file. */
export class SequentialReaders {
  readonly #maxBytes: number;
  readonly #readers = new LRUCache<number, Reader>({ max: MAX_READERS });
  #reads = 0;

  constructor(options: ReadAheadOptions = {}) {
    this.#maxBytes = options.maxBytes ?? DEFAULT_READ_AHEAD_BYTES;
  }

  /**
   * Notes a read and says what to load ahead of it, if anything. A file counts as read in sequence from its first
   * read on if that begins at 0. The window is filled up again once a quarter of it is used: requests stay few and large,
   * and several are under way.
   */
  note(file: number, offset: number, size: number): AheadRange | undefined {
    const end = offset + size;
    const at = ++this.#reads;
    const reader = this.#readers.get(file);
    if (!reader) {
      const window = offset === 0 ? FIRST_WINDOW_BYTES : 0;
      this.#readers.set(file, { end, ahead: end + window, window, at, jumps: 0 });
      return window === 0 ? undefined : { from: end, to: end + window };
    }
    reader.at = at;
    const inSequence = offset <= reader.end + REORDER_BYTES && end + REORDER_BYTES >= reader.end;
    if (!inSequence) {
      reader.jumps = Math.min(reader.jumps + 1, 2 * SCATTERED_JUMPS);
      reader.end = end;
      reader.ahead = end;
      reader.window = 0;
      return undefined;
    }
    if (end <= reader.end) return undefined;
    reader.end = end;
    reader.jumps = Math.max(0, reader.jumps - 1);
    if (reader.ahead - end > (reader.window * 3) / 4) return undefined;
    reader.window = Math.min(Math.max(GROWTH * reader.window, FIRST_WINDOW_BYTES), this.#share());
    const from = Math.max(reader.ahead, end);
    if (from >= end + reader.window) return undefined;
    reader.ahead = end + reader.window;
    return { from, to: reader.ahead };
  }

  /** Whether a file is read here and there, a little at a time. */
  isScattered(file: number): boolean {
    return (this.#readers.get(file)?.jumps ?? 0) >= SCATTERED_JUMPS;
  }

  forget(file: number): void {
    this.#readers.delete(file);
  }

  /** What one reader may have ahead, so that what is ahead of one does not push out what is ahead of another. */
  #share(): number {
    let active = 0;
    for (const reader of this.#readers.values()) {
      if (this.#reads - reader.at > ACTIVE_READS) break;
      if (reader.window > 0) active++;
    }
    return Math.min(MAX_WINDOW_BYTES, Math.max(FIRST_WINDOW_BYTES, this.#maxBytes / Math.max(active, 1)));
  }
}

/** Files up to this size count as small; larger ones have enough to read ahead in themselves. */
export const SMALL_FILE_BYTES = 1024 * 1024;

const FIRST_SIBLINGS_BYTES = 128 * 1024;
const MAX_SIBLINGS_BYTES = 2 * 1024 * 1024;
const MAX_DIRECTORIES = 64;
/** Entries of one directory that are looked at at once. */
const MAX_LOOKED_AT = 1024;

interface DirectoryReader {
  /** Bit for each position that was read or is loaded ahead. */
  readonly seen: Uint8Array;
  reads: number;
  /** Bytes that were loaded ahead and not read yet. */
  aheadBytes: number;
  window: number;
  /** Where to look for the next siblings. */
  next: number;
  /** Nothing is left to load ahead. */
  exhausted: boolean;
  /** Files were handed to their readers since the last read: nobody asks for those. */
  hasHandedOver: boolean;
}

const READ = 1;
const AHEAD = 2;

/** Readers of whole directories, by any key that names a directory. */
export class DirectoryReaders {
  readonly #directories = new LRUCache<number, DirectoryReader>({ max: MAX_DIRECTORIES });

  /**
   * Notes that the small file at a position was read, and says which siblings are worth loading.
   *
   * @param count entries of the directory
   * @param smallFileBytes size of the entry at a position if it is a small file with content, else 0
   * @param isWalk whether all of them are read, going by the directories before: then the first read is enough
   */
  note(
    directory: number,
    position: number,
    count: number,
    smallFileBytes: (position: number) => number,
    isWalk = false,
  ): number[] {
    const reader = this.#reader(directory, count, position);
    const before = reader.seen[position]!;
    if (before === READ) return [];
    reader.seen[position] = READ;
    reader.reads++;
    if (before === AHEAD) reader.aheadBytes -= smallFileBytes(position);
    if (isWalk) reader.window = MAX_SIBLINGS_BYTES;
    else if (before === AHEAD || reader.hasHandedOver)
      reader.window = Math.min(2 * reader.window, MAX_SIBLINGS_BYTES);
    reader.hasHandedOver = false;
    if ((reader.reads < 2 && !isWalk) || reader.exhausted) return [];
    return this.#siblings(reader, count, smallFileBytes);
  }

  /**
   * Small files among the first entries of a directory that nobody has read and that are not loaded ahead, at most 2 MiB of
   * them.
   */
  unread(directory: number, count: number, smallFileBytes: (position: number) => number): number[] {
    const { seen } = this.#reader(directory, count, 0);
    const found: number[] = [];
    let bytes = 0;
    const end = Math.min(count, MAX_LOOKED_AT);
    for (let position = 0; position < end && bytes < MAX_SIBLINGS_BYTES; position++) {
      const size = seen[position] === 0 ? smallFileBytes(position) : 0;
      if (size === 0) continue;
      found.push(position);
      bytes += size;
    }
    return found;
  }

  /** The content of a file went to its reader before it was asked for. */
  handedOver(directory: number, position: number, bytes: number): void {
    const reader = this.#directories.get(directory);
    if (!reader) return;
    if (reader.seen[position] === AHEAD) reader.aheadBytes -= bytes;
    reader.seen[position] = READ;
    reader.hasHandedOver = true;
  }

  forget(directory: number): void {
    this.#directories.delete(directory);
  }

  #reader(directory: number, count: number, next: number): DirectoryReader {
    const known = this.#directories.get(directory);
    if (known?.seen.length === count) return known;
    const reader: DirectoryReader = {
      seen: new Uint8Array(count),
      reads: 0,
      aheadBytes: 0,
      window: FIRST_SIBLINGS_BYTES,
      next,
      exhausted: false,
      hasHandedOver: false,
    };
    this.#directories.set(directory, reader);
    return reader;
  }

  /** Fills the window up again once half of it is used, so that requests stay few and large. */
  #siblings(reader: DirectoryReader, count: number, smallFileBytes: (position: number) => number): number[] {
    const siblings: number[] = [];
    if (reader.aheadBytes > reader.window / 2) return siblings;
    let looked = 0;
    for (; looked < count && reader.aheadBytes < reader.window; looked++) {
      const position = reader.next;
      reader.next = (position + 1) % count;
      if (reader.seen[position] !== 0) continue;
      const bytes = smallFileBytes(position);
      if (bytes === 0) continue;
      reader.seen[position] = AHEAD;
      reader.aheadBytes += bytes;
      siblings.push(position);
    }
    reader.exhausted = looked === count;
    return siblings;
  }
}
