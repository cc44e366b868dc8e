import { link, lstat, rename } from "node:fs/promises";
import { Semaphore } from "../async/semaphore.js";
import { systemCodeOf } from "../errors.js";

/** How file systems without hard links refuse them: exFAT, SMB, most of FUSE. */
const LINK_UNSUPPORTED = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Whoever looks and then renames must not be overtaken by another one of this process. */
const turns = new Semaphore(1);

/**
 * Gives a file a name that nobody has. The old name stays, unless the file system has no hard links: then it is renamed.
 *
 * @returns false when the name is taken; nothing is done then
 * @throws what node:fs throws
 */
export async function nameUnlessTaken(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const code = systemCodeOf(error) ?? "";
    if (code === "EEXIST") return false;
    if (!LINK_UNSUPPORTED.has(code)) throw error;
  }
  return turns.run(async () => {
    if (await isThere(to)) return false;
    await rename(from, to);
    return true;
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw error;
  }
}
