import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { systemCodeOf } from "../errors.js";

/** Of Linux; Node.js does not name it. */
const O_PATH = 0o10000000;

/**
 * Opens a file to read it. A pipe that lies there is not waited for. A file on which somebody has a lease (Samba, an NFS server
 * for its clients) is: the kernel asks it back, and tells who will not wait EAGAIN.
 *
 * @param flags besides those
 */
export async function openToRead(path: string | Buffer, flags = 0): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | flags);
  } catch (error) {
    if (systemCodeOf(error) !== "EAGAIN" || process.platform !== "linux") throw error;
    // What is waited for is this file, whatever takes its place.
    const file = await open(path, O_PATH | (flags & constants.O_NOFOLLOW));
    try {
      if (!(await file.stat()).isFile()) throw error;
      return await open(`/proc/self/fd/${file.fd}`, flags & ~constants.O_NOFOLLOW).catch(() => {
        throw error;
      });
    } finally {
      await file.close();
    }
  }
}
