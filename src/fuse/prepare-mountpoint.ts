import { stat } from "node:fs/promises";
import { systemPath } from "../bytes/system-path.js";
import { messageOf, systemCodeOf, YoreError } from "../errors.js";
import { findMount, isFuse } from "./mount-table.js";
import { resolveMountpoint } from "./resolve-mountpoint.js";
import { detachStaleMount } from "./stale-mounts.js";

/**
 * Sees to it that something can be mounted at a directory, which includes taking away a mount whose server is dead.
 *
 * @returns the directory's resolved path
 * @throws {YoreError} with code `mount`
 */
export async function prepareMountpoint(path: string): Promise<string> {
  const mountpoint = await resolveMountpoint(path);
  await detachStaleMount(mountpoint);
  const covered = await findMount(mountpoint);
  if (covered && isFuse(covered))
    throw new YoreError("mount", `Cannot mount at "${mountpoint}": "${covered.source}" is mounted there`, {
      hint: `Unmount it first: yore umount ${mountpoint}`,
    });
  const stats = await stat(systemPath(mountpoint)).catch((error: unknown) => {
    throw new YoreError("mount", `Cannot mount at "${mountpoint}": ${reasonOf(error)}`, { cause: error });
  });
  if (!stats.isDirectory())
    throw new YoreError("mount", `Cannot mount at "${mountpoint}": it is not a directory`);
  return mountpoint;
}

function reasonOf(error: unknown): string {
  const code = systemCodeOf(error);
  if (code === "ENOENT") return "there is no such directory";
  if (code === "EACCES") return "it cannot be reached, permission denied";
  return messageOf(error);
}
