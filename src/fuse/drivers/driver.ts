import type { Filesystem } from "../filesystem.js";

export type DriverName = "own" | "fuse-native";

/** What a driver is told; all defaults are filled in. */
export interface DriverOptions {
  /** Exists, is a directory, is spelled as the table of mounts will have it. */
  readonly mountpoint: string;
  /** What the table of mounts shows as the source. */
  readonly fsname: string;
  /** The part behind "fuse." of the type. */
  readonly subtype: string;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly posixAcls: boolean;
  /** Device nodes work as devices (root only). */
  readonly allowDevices: boolean;
  /** Set-user-ID bits work (root only). */
  readonly allowSuid: boolean;
  /** Idle processors may be kept from sleeping while programs take turns with the server (see awake-processors.ts). */
  readonly busyWait: boolean;
  readonly readDeadlineMs: number;
  readonly onLog: ((line: string) => void) | undefined;
}

export interface UnmountOptions {
  /**
   * When somebody uses the mount (an open file, a working directory), take it out of the tree all the same and go on
   * serving what is open. Otherwise a mount in use is an error.
   */
  readonly lazyIfBusy?: boolean;
  /** How long what is open is served after that, milliseconds; 30,000 when left out. */
  readonly graceMs?: number;
}

export interface MountHandle {
  readonly driver: DriverName;
  readonly mountpoint: string;
  /**
   * Resolves when nothing is mounted there any more; `done` says when the kernel has let go of it.
   * @throws {YoreError} with code `mount` when the mount is in use and `lazyIfBusy` is not set
   */
  unmount(options?: UnmountOptions): Promise<void>;
  /** Resolves when the kernel has let go, whoever unmounted, and the filesystem is closed. Never rejects. */
  readonly done: Promise<void>;
}

/** A way of serving a filesystem to the kernel. */
export interface Driver {
  readonly name: DriverName;
  /** What is missing on this machine for the driver to work; `undefined` when it can be tried. */
  problem(): Promise<string | undefined>;
  /**
   * Resolves when the mount answers. The driver closes the filesystem when the mount has ended, not when mounting fails.
   * @throws {YoreError} with code `mount`
   */
  mount(filesystem: Filesystem, options: DriverOptions): Promise<MountHandle>;
}
