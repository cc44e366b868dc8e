import { YoreError } from "../errors.js";
import { detachMount } from "./detach-mount.js";
import { findMount, isFuse } from "./mount-table.js";
import { resolveMountpoint } from "./resolve-mountpoint.js";

/**
 * Unmounts what is mounted at a directory, from outside of the process that serves it.
 *
 * @returns whether it was in use and has been detached lazily: programs that use it may go on
 * @throws {YoreError} with code `mount` when nothing is mounted there, no FUSE file system, or another user's
 */
export async function unmount(path: string): Promise<{ readonly wasBusy: boolean }> {
  const mountpoint = await resolveMountpoint(path);
  const mount = await findMount(mountpoint);
  if (!mount) throw new YoreError("mount", `Cannot unmount "${mountpoint}": nothing is mounted there`);
  if (!isFuse(mount))
    throw new YoreError(
      "mount",
      `Cannot unmount "${mountpoint}": a file system of type ${mount.type} is mounted there`,
    );
  let outcome = await detachMount(mountpoint, { lazy: false });
  const wasBusy = outcome === "busy";
  if (wasBusy) outcome = await detachMount(mountpoint, { lazy: true });
  // To fusermount3 a mount of somebody else is none at all.
  if (outcome === "not-mounted" && (await findMount(mountpoint))?.id === mount.id)
    throw new YoreError("mount", `Cannot unmount "${mountpoint}": another user has mounted it`, {
      hint: "Only that user and root may unmount it",
    });
  return { wasBusy };
}
