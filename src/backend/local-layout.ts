import { join } from "node:path";
import type { FileType, Handle } from "./backend.js";

/**
 * Where the files of a repository lie in a folder:
 *
 *     config
 *     data/00 … data/ff / <64 hex>
 *     index/<64 hex>   keys/<64 hex>   locks/<64 hex>   snapshots/<64 hex>
 */

/** Folder of each file type; the config lies at the top. */
export const FOLDERS: Readonly<Record<Exclude<FileType, "config">, string>> = {
  pack: "data",
  index: "index",
  key: "keys",
  lock: "locks",
  snapshot: "snapshots",
};

/** The folders from the top down to the one that holds a file, the repository's own folder left out. */
export function foldersOf(handle: Handle): string[] {
  if (handle.type === "config") return [];
  const folder = FOLDERS[handle.type];
  return handle.type === "pack" ? [folder, join(folder, handle.name.slice(0, 2))] : [folder];
}

/** The path of a file below the repository's folder. */
export function pathOf(handle: Handle): string {
  return handle.type === "config" ? "config" : join(foldersOf(handle).at(-1)!, handle.name);
}

/** The folder in which files of a type lie, for packs the one that holds the 256 others. */
export function folderOfType(type: Exclude<FileType, "config">): string {
  return FOLDERS[type];
}

/** Every folder of an empty repository, parents first. */
export function allFolders(): string[] {
  const shards = Array.from({ length: 256 }, (_, i) => join("data", i.toString(16).padStart(2, "0")));
  return [...Object.values(FOLDERS), ...shards];
}
