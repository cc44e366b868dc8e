import { lstat, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { mapConcurrently } from "../async/map-concurrently.js";
import type { FileType, Handle } from "../backend/backend.js";
import { FOLDERS, foldersOf, pathOf } from "../backend/local-layout.js";
import { syncFolder } from "../backend/sync-folder.js";
import { isHexId } from "../bytes/id.js";
import { isThere } from "../bytes/is-there.js";
import { makeFolders } from "../bytes/make-folders.js";
import { systemCodeOf } from "../errors.js";
import { nameUnlessTaken } from "./name-unless-taken.js";

/**
 * Files that clients deleted, kept for a while within their repository, where no program looks:
 *
 *     .yore-deleted/snapshots/<64 hex>.2026-11-28T13-05-33.123Z
 *     .yore-deleted/data/...   index/...   keys/...   config/config....
 *
 * The end of a name is when it was deleted, by the clock of this machine. Locks are never kept: they come and go.
 */
export const DELETED_FOLDER = ".yore-deleted";

/** A file that was deleted and is still there. */
export interface DeletedFile {
  readonly handle: Handle;
  /** When it was deleted, in milliseconds since 1970. */
  readonly deletedMs: number;
  /** Bytes. */
  readonly size: number;
  /** Where it lies now. */
  readonly path: string;
}

/**
 * Takes a file out of the repository and keeps it among the deleted ones.
 *
 * @param repository its folder
 * @param folderMode of the folders that have to be made
 * @returns the folder in which it is kept
 * @throws what node:fs throws; ENOENT when there is no such file
 */
export async function keepDeleted(
  repository: string,
  handle: Handle,
  nowMs: number,
  folderMode: number,
): Promise<string> {
  const folder = join(repository, DELETED_FOLDER, folderNameOf(handle.type));
  const kept = join(folder, `${handle.name || "config"}.${stampOf(distinct(nowMs))}`);
  const from = join(repository, pathOf(handle));
  try {
    await rename(from, kept);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
    // The file is missing, or it is the first one that is kept here.
    await makeFolders(folder, folderMode);
    await rename(from, kept);
  }
  return folder;
}

/** Of which deleted files: those of a time, in milliseconds since 1970; both ends belong to it. */
export interface DeletedWhen {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

/**
 * The deleted files of a repository, snapshots last: the order in which they can come back, so that nothing is ever
 * there before what it refers to. One array for each type, oldest deletion first; some 300 bytes a file.
 *
 * @param repository its folder
 * @throws what node:fs throws, except when nothing was ever kept
 */
export async function* listDeleted(repository: string, when: DeletedWhen = {}): AsyncIterable<DeletedFile[]> {
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = when;
  for (const type of ORDER) {
    const folder = join(repository, DELETED_FOLDER, folderNameOf(type));
    const names = await readdir(folder).catch((error: unknown) => {
      if (systemCodeOf(error) === "ENOENT") return [];
      throw error;
    });
    const wanted = names
      .flatMap((name) => readName(folder, type, name) ?? [])
      .filter(({ deletedMs }) => deletedMs >= sinceMs && deletedMs <= untilMs);
    const files = (await mapConcurrently(wanted, STATS_AT_A_TIME, withSize)).flatMap((file) => file ?? []);
    if (files.length > 0) yield files.sort((a, b) => a.deletedMs - b.deletedMs);
  }
}

/**
 * Puts a deleted file back to where it was. One that is there again stays as it is, and so does the deleted one: its
 * name is the hash of both. Only a config has no hash for a name: another one in its place is taken for deleted, unless
 * that arrived here before it, and so was not saved instead of it.
 * `settleBroughtBack` must follow.
 *
 * @returns false when it was there already
 */
export async function bringBack(repository: string, file: DeletedFile, folderMode: number): Promise<boolean> {
  for (const folder of foldersOf(file.handle))
    await mkdir(join(repository, folder), { mode: folderMode }).catch((error: unknown) => {
      if (systemCodeOf(error) !== "EEXIST") throw error;
    });
  const path = join(repository, pathOf(file.handle));
  if (file.handle.type === "config" && (await isInstead(path, file.path)))
    await keepDeleted(repository, file.handle, Date.now(), folderMode);
  try {
    if (!(await nameUnlessTaken(file.path, path))) return false;
  } catch (error) {
    // Another one who brings files back may have been faster.
    if (systemCodeOf(error) === "ENOENT" && (await isThere(path))) return false;
    throw error;
  }
  return true;
}

/** Makes it last that these files were brought back: only then do they leave the deleted ones. */
export async function settleBroughtBack(repository: string, files: readonly DeletedFile[]): Promise<void> {
  const folders = new Set(files.flatMap(({ handle }) => ["", ...foldersOf(handle)]));
  for (const folder of folders) await syncFolder(join(repository, folder));
  for (const { path } of files) await rm(path, { force: true });
}

async function isInstead(path: string, of: string): Promise<boolean> {
  try {
    if ((await readFile(path)).equals(await readFile(of))) return false;
    const [there, deleted] = [await stat(path, { bigint: true }), await stat(of, { bigint: true })];
    return there.mtimeNs >= deleted.mtimeNs;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Everything before a snapshot that refers to it. */
const ORDER: readonly FileType[] = ["config", "key", "pack", "index", "snapshot"];

const STATS_AT_A_TIME = 32;

function folderNameOf(type: FileType): string {
  return type === "config" ? "config" : FOLDERS[type];
}

function readName(folder: string, type: FileType, entry: string): Omit<DeletedFile, "size"> | undefined {
  const dot = entry.indexOf(".");
  const name = entry.slice(0, Math.max(dot, 0));
  const deletedMs = readStamp(entry.slice(dot + 1));
  if (deletedMs === undefined || !(type === "config" ? name === "config" : isHexId(name))) return undefined;
  return { handle: { type, name: type === "config" ? "" : name }, deletedMs, path: join(folder, entry) };
}

/** @returns `undefined` for what has vanished meanwhile, and for what is no plain file */
async function withSize(file: Omit<DeletedFile, "size">): Promise<DeletedFile | undefined> {
  try {
    const stats = await lstat(file.path);
    return stats.isFile() ? { ...file, size: stats.size } : undefined;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

let newestMs = 0;

/**
 * A time of its own for each deletion of this process: a name that is kept is never given again. Otherwise who deletes a
 * config, saves another and deletes that in the same millisecond would get rid of the first.
 */
function distinct(nowMs: number): number {
  // A clock that was set back is believed.
  newestMs = nowMs > newestMs || nowMs < newestMs - MOST_AHEAD_MS ? nowMs : newestMs + 1;
  return newestMs;
}

/** How far many deletions in a row may run ahead of the clock. */
const MOST_AHEAD_MS = 1_000;

/** A time as a file name that sorts, and that every file system takes: no colon in it. */
function stampOf(ms: number): string {
  return new Date(ms).toISOString().replaceAll(":", "-");
}

function readStamp(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/.test(text)) return undefined;
  const ms = Date.parse(text.replace(/T(\d\d)-(\d\d)-/, "T$1:$2:"));
  return Number.isNaN(ms) ? undefined : ms;
}
