import { unmount } from "../fuse/unmount.js";

export interface UmountResult {
  /** Programs use it: it is out of sight, and ends when they have let go. */
  readonly wasBusy: boolean;
}

/** Takes a mount away, whoever serves it. @throws {YoreError} `mount` when nothing of ours is mounted there */
export function runUmount(mountpoint: string): Promise<UmountResult> {
  return unmount(mountpoint);
}
