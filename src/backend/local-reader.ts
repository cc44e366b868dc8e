import type { Stats } from "node:fs";
import { type FileHandle, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { BatchQueue } from "../async/batch-queue.js";
import { isHexId } from "../bytes/id.js";
import { LARGE_MEMORY_BYTES, largeMemory } from "../bytes/large-memory.js";
import { openToRead } from "../bytes/open-to-read.js";
import { systemPath } from "../bytes/system-path.js";
import { bytesOfText } from "../bytes/utf8.js";
import { DamagedError, systemCodeOf, throwIfAborted } from "../errors.js";
import type { FileInfo, FileType, Handle, LoadRange } from "./backend.js";
import { localFailure } from "./local-failure.js";
import { folderOfType, pathOf } from "./local-layout.js";

/**
 * Reads this long and longer look at the file's size first: a damaged index must not make us reserve
 * gigabytes.
 */
const CHECKED_LENGTH = 1024 * 1024;

/** Shorter reads leave it to the kernel to read ahead. */
const DIRECT_LENGTH = 256 * 1024;

/** Files that are stat'ed at a time while a folder is listed. */
const STATS_AT_A_TIME = 32;

/** The same where one hop asks for all of them: 2 us each. */
const SIZES_AT_A_TIME = 1000;

/**
 * Small files that one hop reads, one after the other, and hops under way. A hop costs more than reading one: 30 us of the main
 * thread's time where the other has to be woken.
 */
const FILES_A_HOP = 8;
const HOPS_AT_A_TIME = 4;

/** What asks the file system in one hop for what takes Node.js several. Where it cannot, `LocalBackend` finds out why. */
export interface LocalReads {
  /**
   * The contents of plain files, whose paths have a zero behind each; `undefined` for a file that is longer than `limit` bytes,
   * or cannot be had.
   */
  readWhole(paths: Uint8Array, limit: number): Promise<(Uint8Array | undefined)[]>;
  /**
   * Bytes of each file of a folder, their names each followed by a zero; -1 where there is no plain file, NaN where that cannot
   * be told.
   */
  fileSizes(folder: Uint8Array, names: Uint8Array): Promise<Float64Array>;
  /**
   * Reads a range into memory that it fits in, past the kernel's cache where that is better.
   *
   * @param isDirect what is not in the cache is read past it, if the memory is `ROOM_FOR_BLOCKS` longer than the range
   * @param isForgotten what was not in the cache does not stay there
   * @returns where in the memory the range begins, -1 where it cannot be had
   */
  readRange(
    path: Uint8Array,
    offset: number,
    length: number,
    into: Uint8Array,
    isDirect: boolean,
    isForgotten: boolean,
  ): Promise<number>;
}

/** Reads and lists the files of a repository in a folder, in as few hops as the machine permits. */
export class LocalReader {
  readonly #folder: string;
  readonly #reads: LocalReads | undefined;
  /** Small files by their paths; `undefined` for one that cannot be had so. */
  readonly #small: BatchQueue<string, Uint8Array | undefined> | undefined;

  constructor(folder: string, reads: LocalReads | undefined) {
    this.#folder = folder;
    this.#reads = reads;
    this.#small =
      reads &&
      new BatchQueue({
        work: (paths) => reads.readWhole(listOf(paths), CHECKED_LENGTH),
        weigh: () => 0,
        aloneFrom: 1,
        maxItems: FILES_A_HOP,
        maxInFlight: HOPS_AT_A_TIME,
      });
  }

  async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    throwIfAborted(range.signal);
    const path = join(this.#folder, pathOf(handle));
    if (this.#small && isWhole(range)) {
      const content = await this.#small.run(path);
      throwIfAborted(range.signal);
      if (content) return content;
    }
    const room = this.#reads && !range.upTo && (await roomFor(path, range));
    if (room) {
      const { bytes, length } = room;
      const { offset = 0, once = false, isKept = false } = range;
      const isDirect = (once || isKept) && length >= DIRECT_LENGTH;
      const at = await this.#reads!.readRange(bytesOfText(path), offset, length, bytes, isDirect, once);
      if (at >= 0) return bytes.subarray(at, at + length);
      throwIfAborted(range.signal);
    }
    // Whatever was wrong is found out here.
    return this.#loadByHandle(path, range);
  }

  async #loadByHandle(path: string, range: LoadRange): Promise<Uint8Array> {
    const { offset = 0, upTo = false } = range;
    try {
      const file = await openToRead(systemPath(path));
      try {
        let { length } = range;
        if (length === undefined || length >= CHECKED_LENGTH) {
          const { size } = await file.stat();
          const left = Math.max(0, size - offset);
          length = upTo ? Math.min(length ?? left, left) : (length ?? left);
          if (!upTo && offset + length > size) throw tooShort(path, offset, length, size);
        }
        const { into } = range;
        const bytes = into && into.length >= length ? into.subarray(0, length) : newMemory(length);
        const got = await readFully(file, bytes, offset, range.signal);
        if (got < length && !upTo) throw tooShort(path, offset, length, offset + got);
        return bytes.subarray(0, got);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw localFailure("load", path, error);
    }
  }

  async *list(type: FileType): AsyncIterable<FileInfo> {
    if (type === "config") {
      const size = await sizeOfFile(join(this.#folder, "config"));
      if (size !== undefined) yield { name: "", size };
      return;
    }
    const folder = join(this.#folder, folderOfType(type));
    if (type !== "pack") {
      yield* this.#listFolder(folder);
      return;
    }
    for (const shard of await namesIn(folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue;
      yield* this.#listFolder(join(folder, shard), shard);
    }
  }

  async *#listFolder(folder: string, prefix = ""): AsyncIterable<FileInfo> {
    const names = (await namesIn(folder)).filter((name) => isHexId(name) && name.startsWith(prefix));
    const atATime = this.#reads ? SIZES_AT_A_TIME : STATS_AT_A_TIME;
    for (let i = 0; i < names.length; i += atATime) {
      const batch = names.slice(i, i + atATime);
      const sizes = await this.#sizesOf(folder, batch);
      for (const [j, name] of batch.entries()) {
        const size = sizes[j];
        if (size !== undefined) yield { name, size };
      }
    }
  }

  /** `undefined` as of `sizeOfFile`. */
  async #sizesOf(folder: string, names: readonly string[]): Promise<(number | undefined)[]> {
    const sizes = await this.#reads?.fileSizes(bytesOfText(folder), listOf(names));
    return Promise.all(
      names.map((name, i) => {
        const size = sizes?.[i] ?? Number.NaN;
        if (Number.isNaN(size)) return sizeOfFile(join(folder, name));
        return size < 0 ? undefined : size;
      }),
    );
  }
}

/** Paths or names as the functions of `LocalReads` take them. */
function listOf(paths: readonly string[]): Uint8Array {
  return bytesOfText(paths.map((path) => `${path}\0`).join(""));
}

interface Room {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/**
 * Memory for a range, and its length: that of the caller, or some of our own where the length is plausible. `undefined` where
 * only an open file can tell, and nothing is gained by asking for its size first.
 */
async function roomFor(path: string, range: LoadRange): Promise<Room | undefined> {
  const { into, length, offset = 0 } = range;
  if (length !== undefined && into && into.length >= length) return { bytes: into, length };
  if (length !== undefined && length < CHECKED_LENGTH) return { bytes: newMemory(length), length };
  if (!range.once && !range.isKept) return undefined;
  const size = await stat(systemPath(path)).then(
    (found) => found.size,
    () => 0,
  );
  const wanted = length ?? size - offset;
  if (wanted < 0 || offset + wanted > size) return undefined;
  return { bytes: into && into.length >= wanted ? into : newMemory(wanted), length: wanted };
}

/** Whether all of a file is asked for, in memory of our own, and nothing special about the way there. */
function isWhole({ offset = 0, length, into, upTo, once, isKept }: LoadRange): boolean {
  return offset === 0 && length === undefined && !into && !upTo && !once && !isKept;
}

/** Reads until the buffer is full or the file ends. @returns the bytes read */
async function readFully(
  file: FileHandle,
  into: Uint8Array,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let got = 0;
  while (got < into.length) {
    throwIfAborted(signal);
    const { bytesRead } = await file.read(into, got, into.length - got, offset + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return got;
}

/** The names in a folder; none when it is missing or no folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(systemPath(folder));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCodeOf(error) ?? "")) return [];
    throw localFailure("list", folder, error);
  }
}

/** `undefined` for what is no plain file, or is gone since its folder was read. */
async function sizeOfFile(path: string): Promise<number | undefined> {
  let stats: Stats;
  try {
    stats = await stat(systemPath(path));
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? "")) return undefined;
    throw localFailure("stat", path, error);
  }
  return stats.isFile() ? stats.size : undefined;
}

function tooShort(path: string, offset: number, length: number, size: number): DamagedError {
  return new DamagedError(
    `Cannot load "${path}": file is too short, wanted ${length} bytes at offset ${offset}, but it ends at ${size}`,
  );
}

/** Small pieces share memory, as those of `Buffer` do. */
function newMemory(bytes: number): Buffer {
  return bytes < LARGE_MEMORY_BYTES ? Buffer.allocUnsafe(bytes) : largeMemory(bytes);
}
