import type { Dirent } from "node:fs";
import { readlink, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";

/**
 * True for a folder below the data folder, and for a link to one elsewhere, on another disk say. A link to something that
 * lies below the data folder itself is a second name for it: what is there is found under the first.
 *
 * @param parent the folder whose entry it is
 */
export async function isServedFolder(dataFolder: string, parent: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    const path = join(parent, entry.name);
    const within = await realpath(dirname(resolve(parent, await readlink(path))));
    const top = await realpath(dataFolder);
    return !join(within, sep).startsWith(join(top, sep)) && (await stat(path)).isDirectory();
  } catch {
    return false; // A link to nothing.
  }
}
