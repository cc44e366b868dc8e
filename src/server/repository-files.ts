import { constants } from "node:fs";
import { type FileHandle, lstat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Handle } from "../backend/backend.js";
import { createFolders, makeFolder } from "../backend/create-folders.js";
import { LastingRemovals } from "../backend/lasting-removals.js";
import { FOLDERS, foldersOf, pathOf } from "../backend/local-layout.js";
import { syncFolder } from "../backend/sync-folder.js";
import { isThere } from "../bytes/is-there.js";
import { openToRead } from "../bytes/open-to-read.js";
import { systemCodeOf } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import { keepDeleted } from "./deleted-files.js";
import { Refusal } from "./refusal.js";
import type { RepositoryPath } from "./request-target.js";
import { beginUpload, SMALL_FILE_BYTES, SmallUpload, type Upload } from "./upload.js";

export interface FileModes {
  readonly folder: number;
  readonly file: number;
}

export const PRIVATE_MODES: FileModes = { folder: 0o700, file: 0o600 };
export const GROUP_MODES: FileModes = { folder: 0o770, file: 0o660 };

/** The files of all repositories below a data folder, laid out as restic lays them out. */
export class RepositoryFiles {
  readonly #dataFolder: string;
  readonly #modes: FileModes;
  /** Of the repositories from which something was removed, by folder. */
  readonly #removals = new Map<string, LastingRemovals>();

  constructor(dataFolder: string, modes: FileModes) {
    this.#dataFolder = dataFolder;
    this.#modes = modes;
  }

  folderOf(repository: RepositoryPath): string {
    return join(this.#dataFolder, ...repository);
  }

  /** Makes a repository's folders, so that they last; those that exist are left as they are. */
  create(repository: RepositoryPath): Promise<void> {
    return createFolders(this.folderOf(repository), this.#modes.folder);
  }

  /** @throws {Refusal} 404 when there is no such plain file */
  async open(repository: RepositoryPath, handle: Handle): Promise<{ file: FileHandle; size: number }> {
    const path = this.#pathOf(repository, handle);
    const file = await openToRead(path, constants.O_NOFOLLOW).catch((error: unknown) => {
      const code = systemCodeOf(error);
      throw code !== undefined && ABSENT.has(code) ? new Refusal(404, "Not found") : error;
    });
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new Refusal(404, "Not found");
      return { file, size: stats.size };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * A small file that the kernel has in memory, at once: most of what clients load again and again is such. `undefined`
   * says nothing about the file: `open` tells.
   */
  loadCached(repository: RepositoryPath, handle: Handle): Buffer | undefined {
    const path = Buffer.from(this.#pathOf(repository, handle));
    return loadAddon()?.readCached(path, CACHED_FILE_BYTES);
  }

  /** Size in bytes; `undefined` when there is no such plain file. */
  async sizeOf(repository: RepositoryPath, handle: Handle): Promise<number | undefined> {
    try {
      const stats = await lstat(this.#pathOf(repository, handle));
      return stats.isFile() ? stats.size : undefined;
    } catch (error) {
      const code = systemCodeOf(error);
      if (code !== undefined && ABSENT.has(code)) return undefined;
      throw error;
    }
  }

  /** For a file that `isSmallFile`: nothing touches the disk before the commit, which tells also what is wrong with it. */
  async beginSmallUpload(repository: RepositoryPath, handle: Handle): Promise<Upload> {
    if (handle.type !== "lock") await this.settleRemovals(repository);
    const makeFolders = () => this.#makeFoldersOf(repository, handle);
    return new SmallUpload(this.#pathOf(repository, handle), this.#modes.file, makeFolders);
  }

  async beginUpload(repository: RepositoryPath, handle: Handle): Promise<Upload> {
    await this.settleRemovals(repository);
    const path = this.#pathOf(repository, handle);
    try {
      return await beginUpload(path, this.#modes.file);
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT" || !(await this.#makeFoldersOf(repository, handle))) throw error;
    }
    return beginUpload(path, this.#modes.file);
  }

  /**
   * Makes the folders of the layout that a file needs: copies of a repository often come without those that were empty.
   *
   * @returns false where nothing of a repository is: its disk may be unmounted
   */
  async #makeFoldersOf(repository: RepositoryPath, handle: Handle): Promise<boolean> {
    const top = this.folderOf(repository);
    const known = ["config", ...Object.values(FOLDERS)];
    const found = await Promise.all(known.map((name) => isThere(join(top, name))));
    if (!found.includes(true)) return false;
    for (const folder of foldersOf(handle)) {
      await makeFolder(join(top, folder), this.#modes.folder);
      await syncFolder(dirname(join(top, folder)));
    }
    return true;
  }

  /**
   * What is removed may come back with a loss of power until `settleRemovals`, or the next file is saved.
   *
   * @param keep whether it lies among the deleted files from now on, or is gone
   * @returns false when there was no such file
   */
  async remove(repository: RepositoryPath, handle: Handle, keep: boolean): Promise<boolean> {
    const folder = this.folderOf(repository);
    const removals = this.#removalsOf(folder);
    await removals.beforeRemoval(handle.type);
    try {
      let keptIn: string | undefined;
      if (keep) keptIn = await keepDeleted(folder, handle, Date.now(), this.#modes.folder);
      else await unlink(this.#pathOf(repository, handle));
      removals.afterRemoval(handle.type, keptIn);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code !== undefined && ABSENT.has(code)) return false;
      throw error;
    }
    return true;
  }

  /** Waits until all earlier removals last. */
  async settleRemovals(repository: RepositoryPath): Promise<void> {
    await this.#removals.get(this.folderOf(repository))?.settle();
  }

  #removalsOf(folder: string): LastingRemovals {
    let removals = this.#removals.get(folder);
    if (!removals) {
      removals = new LastingRemovals(folder);
      this.#removals.set(folder, removals);
    }
    return removals;
  }

  #pathOf(repository: RepositoryPath, handle: Handle): string {
    return join(this.folderOf(repository), pathOf(handle));
  }
}

/** More takes so long to copy that others notice. */
const CACHED_FILE_BYTES = 64 * 1024;

/** True for a file of so many bytes that is saved in one piece. Packs are large, and their folder may have to be made. */
export function isSmallFile(handle: Handle, bytes: number): boolean {
  return handle.type !== "pack" && bytes <= SMALL_FILE_BYTES;
}

/** How the system says that there is no such file, a symbolic link in its place included. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ENXIO"]);
