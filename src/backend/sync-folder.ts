import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf } from "../errors.js";
import { localFailure } from "./local-failure.js";

/** fsync is refused by some network file systems and FUSE; restic goes on there, and so do we. */
const FSYNC_UNSUPPORTED = new Set(["ENOTSUP", "EOPNOTSUPP", "EINVAL", "ENOSYS", "ENOTTY"]);

/** Writes a file down. @throws what node:fs throws */
export async function syncFile(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!FSYNC_UNSUPPORTED.has(systemCodeOf(error) ?? "")) throw error;
  }
}

/**
 * Makes durable what happened to the names in a folder. The files themselves are whole whatever happens here, so only a
 * real I/O error counts. @throws {YoreError}
 */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(systemPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await syncFile(folder);
    } finally {
      await folder.close();
    }
  } catch (error) {
    // A folder that may be written but not read (drop box) cannot be opened.
    if (systemCodeOf(error) === "EACCES") return;
    throw localFailure("sync folder", path, error);
  }
}
