/**
 * Mounts whose server is gone (killed, crashed): everything below them fails with "Transport endpoint is not
 * connected", even `mkdir -p`, until somebody unmounts them.
 */

import { statfs } from "node:fs/promises";
import { withDeadline } from "../async/deadline.js";
import { systemPath } from "../bytes/system-path.js";
import { systemCodeOf } from "../errors.js";
import { detachMount } from "./detach-mount.js";
import { findMount, isFuse } from "./mount-table.js";

/** A live server that answers later than this is not touched. */
const PATIENCE_MS = 3_000;

/** More mounts than this are hardly stacked at one place by accident. */
const MAX_STACKED = 16;

/**
 * Detaches the FUSE mount at a path if its server is dead. Never touches one that lives, or that hangs.
 *
 * @param mountpoint as in the table of mounts
 * @returns whether there was such a mount
 */
export async function detachStaleMount(mountpoint: string): Promise<boolean> {
  let found = false;
  for (let i = 0; i < MAX_STACKED && (await isStale(mountpoint)); i++) {
    await detachMount(mountpoint, { lazy: true });
    found = true;
  }
  return found;
}

async function isStale(mountpoint: string): Promise<boolean> {
  const mount = await findMount(mountpoint);
  if (!mount || !isFuse(mount)) return false;
  try {
    // Not stat: the kernel answers that from its cache long after the server's death. It never caches statfs.
    await withDeadline(statfs(systemPath(mountpoint)), PATIENCE_MS, `ask the file system at "${mountpoint}"`);
    return false;
  } catch (error) {
    const code = systemCodeOf(error);
    return code === "ENOTCONN" || code === "ECONNABORTED";
  }
}
