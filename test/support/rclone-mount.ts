import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type ChildMount, mountByChild } from "./child-mount.js";
import { missingPeer, peer } from "./run.js";

/** For `describe.skipIf`: says so when file systems of rclone cannot be tested. */
export function canMountWithRclone(): boolean {
  if (missingPeer("rclone")) return false;
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    console.warn("SKIPPED: /dev/fuse cannot be opened; file systems of rclone are not tested");
    return false;
  }
}

/**
 * A folder on a file system that has no hard links, no files without a name and no modes: what rclone mounts.
 *
 * @param more flags for rclone
 */
export function mountWithRclone(more: readonly string[] = []): Promise<ChildMount> {
  return mountByChild((folder, top) => {
    const remote = join(top, "remote");
    mkdirSync(remote);
    const cache = ["--vfs-cache-mode", "writes", "--cache-dir", join(top, "cache")];
    return [peer("rclone")!, "mount", remote, folder, ...cache, "--config", "/dev/null", ...more];
  });
}
