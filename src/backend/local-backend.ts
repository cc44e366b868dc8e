import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { access, type FileHandle, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isHexId } from "../bytes/id.js";
import { LARGE_MEMORY_BYTES, largeMemory } from "../bytes/large-memory.js";
import { systemPath } from "../bytes/system-path.js";
import { bytesOfText } from "../bytes/utf8.js";
import { DamagedError, systemCodeOf, throwIfAborted, YoreError } from "../errors.js";
import type { Backend, FileInfo, FilePlace, FileType, Handle, LoadRange } from "./backend.js";
import { isOnLocalDisk } from "./local-disk.js";
import { localFailure } from "./local-failure.js";
import { allFolders, folderOfType, foldersOf, pathOf } from "./local-layout.js";
import { type Leftovers, removeLocalLeftovers } from "./local-leftovers.js";
import { SmallFiles } from "./small-files.js";

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

/** fsync is refused by some network file systems and FUSE; restic goes on there, and so do we. */
const FSYNC_UNSUPPORTED = new Set(["ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOSYS", "ENOTTY"]);

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

export interface LocalBackendOptions {
  /** 2 unless said otherwise, as with restic. */
  readonly connections?: number | undefined;
  /** Where it is there, what is read once and was not in the kernel's cache does not stay in it. */
  readonly reads?: LocalReads | undefined;
}

interface Modes {
  readonly folder: number;
  /** While it is written; the finished file loses its write bits. */
  readonly file: number;
}

const PRIVATE: Modes = { folder: 0o700, file: 0o600 };
const FOR_GROUP: Modes = { folder: 0o770, file: 0o660 };

/**
 * A repository in a folder of this machine, laid out as restic lays it out.
 *
 * A file appears under its name only when it is whole and on the disk: it is written beside its place as
 * `<name>-tmp-<random>`, synced, made read-only and renamed, and the folder is synced. Whatever dies on the
 * way leaves at most such a temporary name, which no listing shows. When the config can be read by the group,
 * everything new can be too.
 */
export class LocalBackend implements Backend {
  readonly location: string;
  readonly connections: number;
  readonly listsAtOnce: boolean;
  readonly #reads: LocalReads | undefined;
  readonly #small: SmallFiles | undefined;
  #modes: Modes;

  private constructor(
    path: string,
    { connections = 2, reads }: LocalBackendOptions,
    found: { readonly listsAtOnce: boolean; readonly modes: Modes },
  ) {
    this.location = path;
    this.connections = connections;
    this.listsAtOnce = found.listsAtOnce;
    this.#reads = reads;
    this.#small = reads && new SmallFiles((paths) => reads.readWhole(paths, CHECKED_LENGTH));
    this.#modes = found.modes;
  }

  /** Takes a folder, there or not yet there. */
  static async open(path: string, options: LocalBackendOptions = {}): Promise<LocalBackend> {
    const [listsAtOnce, modes] = await Promise.all([isOnLocalDisk(path), modesOf(path)]);
    return new LocalBackend(path, options, { listsAtOnce, modes });
  }

  async create(): Promise<void> {
    const { folder } = this.#modes;
    try {
      await mkdir(systemPath(this.location), { recursive: true, mode: folder });
      for (const name of allFolders()) await this.#makeFolder(name);
    } catch (error) {
      throw localFailure("create repository folder", this.location, error);
    }
  }

  async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const path = join(this.location, pathOf(handle));
    const temporary = `${path}-tmp-${randomBytes(8).toString("hex")}`;
    try {
      const file = await this.#openTemporary(handle, temporary);
      try {
        await this.#fill(file, pieces, signal);
      } finally {
        await file.close();
      }
      throwIfAborted(signal);
      await rename(systemPath(temporary), systemPath(path));
    } catch (error) {
      await unlink(systemPath(temporary)).catch(() => {});
      throw localFailure("save", path, error);
    }
    await syncFolder(dirname(path));
    if (handle.type === "config") this.#modes = await modesOf(this.location);
  }

  async place(handle: Handle): Promise<FilePlace> {
    const path = join(this.location, pathOf(handle));
    const folder = dirname(path);
    try {
      await access(systemPath(folder)).catch(() => this.#makeFoldersOf(handle));
    } catch (error) {
      throw localFailure("save", path, error);
    }
    const { file } = this.#modes;
    return { folder, path, modeWhileWritten: file, mode: file & ~0o222 };
  }

  async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    throwIfAborted(range.signal);
    const path = join(this.location, pathOf(handle));
    if (this.#small && isWhole(range)) {
      const content = await this.#small.read(path);
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
      // A pipe that lies there is not waited for.
      const file = await open(systemPath(path), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
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

  async stat(handle: Handle): Promise<FileInfo> {
    const path = join(this.location, pathOf(handle));
    try {
      return { name: handle.name, size: (await stat(systemPath(path))).size };
    } catch (error) {
      throw localFailure("stat", path, error);
    }
  }

  async *list(type: FileType): AsyncIterable<FileInfo> {
    if (type === "config") {
      const size = await sizeOfFile(join(this.location, "config"));
      if (size !== undefined) yield { name: "", size };
      return;
    }
    const folder = join(this.location, folderOfType(type));
    if (type !== "pack") {
      yield* this.#listFolder(folder);
      return;
    }
    for (const shard of await namesIn(folder)) {
      if (!/^[0-9a-f]{2}$/.test(shard)) continue;
      yield* this.#listFolder(join(folder, shard), shard);
    }
  }

  async remove(handle: Handle): Promise<void> {
    const path = join(this.location, pathOf(handle));
    try {
      await unlink(systemPath(path));
    } catch (error) {
      throw localFailure("remove", path, error);
    }
  }

  removeLeftovers(olderThanMs: number): Promise<Leftovers> {
    return removeLocalLeftovers(this.location, olderThanMs);
  }

  async close(): Promise<void> {}

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
    const list = Buffer.from(names.map((name) => `${name}\0`).join(""));
    const sizes = await this.#reads?.fileSizes(bytesOfText(folder), list);
    return Promise.all(
      names.map((name, i) => {
        const size = sizes?.[i] ?? Number.NaN;
        if (Number.isNaN(size)) return sizeOfFile(join(folder, name));
        return size < 0 ? undefined : size;
      }),
    );
  }

  /**
   * Folders below `data` may be missing; they are made when first needed. The repository's own folder never
   * is: its disk may be unmounted.
   */
  async #openTemporary(handle: Handle, temporary: string): Promise<FileHandle> {
    try {
      return await open(systemPath(temporary), "wx", this.#modes.file);
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT") throw error;
    }
    await this.#makeFoldersOf(handle);
    return open(systemPath(temporary), "wx", this.#modes.file);
  }

  async #makeFoldersOf(handle: Handle): Promise<void> {
    for (const folder of foldersOf(handle)) {
      await this.#makeFolder(folder);
      await syncFolder(dirname(join(this.location, folder)));
    }
  }

  async #makeFolder(name: string): Promise<void> {
    try {
      await mkdir(systemPath(join(this.location, name)), { mode: this.#modes.folder });
    } catch (error) {
      if (systemCodeOf(error) !== "EEXIST") throw error;
    }
  }

  /** Writes all pieces, checks the length and syncs. */
  async #fill(
    file: FileHandle,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const wanted = pieces.reduce((sum, piece) => sum + piece.length, 0);
    await writeFully(file, pieces, signal);
    const { size } = await file.stat();
    if (size !== wanted)
      throw new YoreError("backend", `Cannot save file: wrote ${wanted} bytes, but there are ${size}`);
    await sync(file);
    await file.chmod(this.#modes.file & ~0o222).catch((error: unknown) => {
      // Some file systems keep no modes; the file is as safe without.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(systemCodeOf(error) ?? "")) throw error;
    });
  }
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

/** Group-readable config: everything for the group. Unreadable or absent: private. */
async function modesOf(path: string): Promise<Modes> {
  try {
    const { mode } = await stat(systemPath(join(path, "config")));
    return (mode & 0o040) !== 0 ? FOR_GROUP : PRIVATE;
  } catch {
    return PRIVATE;
  }
}

async function writeFully(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let rest = pieces.filter((piece) => piece.length > 0);
  while (rest.length > 0) {
    throwIfAborted(signal);
    const { bytesWritten } = await file.writev(rest);
    rest = dropBytes(rest, bytesWritten);
  }
}

/** What is left of the pieces after so many bytes were taken. */
function dropBytes(pieces: Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let i = 0;
  for (; i < pieces.length && left >= pieces[i]!.length; i++) left -= pieces[i]!.length;
  const rest = pieces.slice(i);
  if (left > 0) rest[0] = rest[0]!.subarray(left);
  return rest;
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

async function sync(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!FSYNC_UNSUPPORTED.has(systemCodeOf(error) ?? "")) throw error;
  }
}

/**
 * Makes a rename durable. The file itself is whole whatever happens here, so only a real I/O error counts.
 */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(systemPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await sync(folder);
    } finally {
      await folder.close();
    }
  } catch (error) {
    // A folder that may be written but not read (drop box) cannot be opened.
    if (systemCodeOf(error) === "EACCES") return;
    throw localFailure("sync folder", path, error);
  }
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
