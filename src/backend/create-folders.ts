import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolders } from "../bytes/make-folders.js";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf } from "../errors.js";
import { allFolders, FOLDERS } from "./local-layout.js";
import { syncFolder } from "./sync-folder.js";

/**
 * Makes the folders of an empty repository, and those above it; those that are there are left as they are. When it
 * resolves they last, except for those below `data`, which are made again when they are needed.
 *
 * @param mode permission bits of what is made
 * @throws what node:fs throws, and YoreError when it cannot be made to last
 */
export async function createFolders(path: string, mode: number): Promise<void> {
  const above = [dirname(path)];
  while (!(await isThere(above[0]!)) && dirname(above[0]!) !== above[0]) above.unshift(dirname(above[0]!));
  await makeFolders(systemPath(path), mode);
  for (const name of allFolders()) await makeFolder(join(path, name), mode);
  // File systems without a journal write down a folder itself, and its name in the one above, each when it is asked to.
  const within = Object.values(FOLDERS).map((name) => join(path, name));
  for (const folder of [...above, path, ...within]) await syncFolder(folder);
}

/** Makes one folder, unless it is there. @throws what node:fs throws */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(systemPath(path), { mode });
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(systemPath(path)).then(
    () => true,
    () => false,
  );
}
