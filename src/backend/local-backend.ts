import { randomBytes } from "node:crypto";
import { access, type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf, throwIfAborted, YoreError } from "../errors.js";
import type { Backend, FileInfo, FilePlace, FileType, Handle, LoadRange } from "./backend.js";
import { createFolders, makeFolder } from "./create-folders.js";
import { LastingRemovals } from "./lasting-removals.js";
import { isOnLocalDisk } from "./local-disk.js";
import { localFailure } from "./local-failure.js";
import { foldersOf, pathOf } from "./local-layout.js";
import { type Leftovers, removeLocalLeftovers } from "./local-leftovers.js";
import { LocalReader, type LocalReads } from "./local-reader.js";
import { syncFile, syncFolder } from "./sync-folder.js";

export interface LocalBackendOptions {
  /** 2 unless said otherwise, as with restic. */
  readonly connections?: number | undefined;
  /** Where they are there, what is read once and was not in the kernel's cache does not stay in it. */
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
 * way leaves at most such a temporary name, which no listing shows. Removals last as `LastingRemovals` says. When
 * the config can be read by the group, everything new can be too.
 */
export class LocalBackend implements Backend {
  readonly location: string;
  readonly connections: number;
  readonly listsAtOnce: boolean;
  readonly #reader: LocalReader;
  readonly #removals: LastingRemovals;
  #modes: Modes;

  private constructor(
    path: string,
    { connections = 2, reads }: LocalBackendOptions,
    found: { readonly listsAtOnce: boolean; readonly modes: Modes },
  ) {
    this.location = path;
    this.connections = connections;
    this.listsAtOnce = found.listsAtOnce;
    this.#reader = new LocalReader(path, reads);
    this.#removals = new LastingRemovals(path);
    this.#modes = found.modes;
  }

  /** Takes a folder, there or not yet there. */
  static async open(path: string, options: LocalBackendOptions = {}): Promise<LocalBackend> {
    const [listsAtOnce, modes] = await Promise.all([isOnLocalDisk(path), modesOf(path)]);
    return new LocalBackend(path, options, { listsAtOnce, modes });
  }

  async create(): Promise<void> {
    try {
      await createFolders(this.location, this.#modes.folder);
    } catch (error) {
      throw localFailure("create repository folder", this.location, error);
    }
  }

  async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    const path = join(this.location, pathOf(handle));
    const temporary = `${path}-tmp-${randomBytes(8).toString("hex")}`;
    if (handle.type !== "lock") await this.#removals.settle();
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
    await this.#removals.settle();
    try {
      await access(systemPath(folder)).catch(() => this.#makeFoldersOf(handle));
    } catch (error) {
      throw localFailure("save", path, error);
    }
    const { file } = this.#modes;
    return { folder, path, modeWhileWritten: file, mode: file & ~0o222 };
  }

  load(handle: Handle, range?: LoadRange): Promise<Uint8Array> {
    return this.#reader.load(handle, range);
  }

  list(type: FileType): AsyncIterable<FileInfo> {
    return this.#reader.list(type);
  }

  async stat(handle: Handle): Promise<FileInfo> {
    const path = join(this.location, pathOf(handle));
    try {
      return { name: handle.name, size: (await stat(systemPath(path))).size };
    } catch (error) {
      throw localFailure("stat", path, error);
    }
  }

  async remove(handle: Handle): Promise<void> {
    const path = join(this.location, pathOf(handle));
    await this.#removals.beforeRemoval(handle.type);
    try {
      await unlink(systemPath(path));
    } catch (error) {
      throw localFailure("remove", path, error);
    }
    this.#removals.afterRemoval(handle.type);
    // A password that was taken away must not come back.
    if (handle.type === "key") await this.#removals.settle();
  }

  removeLeftovers(olderThanMs: number): Promise<Leftovers> {
    return removeLocalLeftovers(this.location, olderThanMs);
  }

  async close(): Promise<void> {
    await this.#removals.settle();
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
      await makeFolder(join(this.location, folder), this.#modes.folder);
      await syncFolder(dirname(join(this.location, folder)));
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
    await syncFile(file);
    await file.chmod(this.#modes.file & ~0o222).catch((error: unknown) => {
      // Some file systems keep no modes; the file is as safe without.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(systemCodeOf(error) ?? "")) throw error;
    });
  }
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
