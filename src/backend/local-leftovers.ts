import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf } from "../errors.js";
import { allFolders } from "./local-layout.js";

/** What a writer that was killed leaves: the name of a file, and what this program or restic puts behind it. */
const LEFTOVER_NAME = /^(?:[0-9a-f]{64}|config)-tmp-[0-9a-f]+$/;

/** What was taken away. */
export interface Leftovers {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Removes files that were never finished from the folder of a repository. Only those that nobody has written to for so
 * long; what cannot be looked at or removed stays.
 */
export async function removeLocalLeftovers(folder: string, olderThanMs: number): Promise<Leftovers> {
  let files = 0;
  let bytes = 0;
  for (const name of ["", ...allFolders()]) {
    for (const entry of await namesIn(join(folder, name))) {
      if (!LEFTOVER_NAME.test(entry)) continue;
      const size = await removeOld(join(folder, name, entry), olderThanMs);
      if (size === undefined) continue;
      files++;
      bytes += size;
    }
  }
  return { files, bytes };
}

/** @returns the size of the file, or `undefined` when it stays */
async function removeOld(path: string, olderThanMs: number): Promise<number | undefined> {
  try {
    const stats = await lstat(systemPath(path));
    if (!stats.isFile() || Date.now() - stats.mtimeMs < olderThanMs) return undefined;
    await unlink(systemPath(path));
    return stats.size;
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return undefined;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(systemPath(folder));
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return [];
  }
}
