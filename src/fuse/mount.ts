/**
 * Shows a Filesystem as a read-only directory of this machine.
 *
 *     mountFilesystem   mountpoint ready? which driver? then:
 *       drivers/own-driver           the addon's /dev/fuse, and Session for the protocol
 *       drivers/fuse-native-driver   libfuse 2 through the package fuse-native
 *     session           requests in, exactly one reply each: operations, Reply, PendingReplies, ListingCache
 *
 * Nothing in this process may touch the mount synchronously: the very thread that would wait for the answer is the one
 * that gives it. That goes for `fs.*Sync`, and for child processes whose `cwd` or program lies inside: spawning waits
 * until the child has come that far.
 */

import { YoreError } from "../errors.js";
import { addonBuilder } from "../native/addon.js";
import type { Driver, DriverName, MountHandle } from "./drivers/driver.js";
import { fuseNativeDriver } from "./drivers/fuse-native-driver.js";
import { ownDriver } from "./drivers/own-driver.js";
import type { Filesystem } from "./filesystem.js";
import { prepareMountpoint } from "./prepare-mountpoint.js";

export type { DriverName, MountHandle, UnmountOptions } from "./drivers/driver.js";

export interface MountOptions {
  /** An existing directory. A mount there whose server is dead is taken away. */
  readonly mountpoint: string;
  /** What `df` and the table of mounts show; "yore" when left out. */
  readonly fsname?: string;
  /** The type is "fuse." and this; "yore" when left out. */
  readonly subtype?: string;
  /** Other users see the mount; false when left out. Ordinary users need a line in /etc/fuse.conf for it. */
  readonly allowOther?: boolean;
  /** The kernel checks permissions by owner and mode; false when left out. */
  readonly defaultPermissions?: boolean;
  /** With `defaultPermissions`, also by ACL, which it asks for; false when left out. */
  readonly posixAcls?: boolean;
  /** Device nodes work as devices; false when left out. Root only. */
  readonly allowDevices?: boolean;
  /** Set-user-ID bits work; false when left out. Root only. */
  readonly allowSuid?: boolean;
  /**
   * Idle processors of a virtual machine poll while programs take turns with the server, which makes each turn several
   * times as quick; true when left out. Root only.
   */
  readonly busyWait?: boolean;
  /** Past this an answer of the filesystem is given up with EIO, milliseconds; 60,000 when left out. */
  readonly readDeadlineMs?: number;
  /** "auto" when left out: our own transport where the addon loads, else fuse-native. */
  readonly driver?: "auto" | DriverName;
  /** Gets one line for each failed request, without a newline; repeats come rarely. */
  readonly onLog?: (line: string) => void;
}

const DEFAULT_DEADLINE_MS = 60_000;

const DRIVERS: readonly Driver[] = [ownDriver, fuseNativeDriver];

/**
 * Mounts, and resolves when the mount answers. From then on the filesystem belongs to the mount, which closes it when
 * the kernel has let go; if mounting fails it is left as it was.
 *
 * @throws {YoreError} with code `mount` and a hint about what to do
 */
export async function mountFilesystem(filesystem: Filesystem, options: MountOptions): Promise<MountHandle> {
  const driver = await chooseDriver(options.driver ?? "auto");
  const mountpoint = await prepareMountpoint(options.mountpoint);
  return await driver.mount(filesystem, {
    mountpoint,
    fsname: options.fsname ?? "yore",
    subtype: options.subtype ?? "yore",
    allowOther: options.allowOther ?? false,
    defaultPermissions: options.defaultPermissions ?? false,
    posixAcls: options.posixAcls ?? false,
    allowDevices: options.allowDevices ?? false,
    allowSuid: options.allowSuid ?? false,
    busyWait: options.busyWait ?? true,
    readDeadlineMs: options.readDeadlineMs ?? DEFAULT_DEADLINE_MS,
    onLog: options.onLog,
  });
}

async function chooseDriver(wanted: "auto" | DriverName): Promise<Driver> {
  const problems: string[] = [];
  for (const driver of DRIVERS) {
    if (wanted !== "auto" && wanted !== driver.name) continue;
    const problem = await driver.problem();
    if (problem === undefined) return driver;
    problems.push(`driver "${driver.name}": ${problem}`);
  }
  throw new YoreError("mount", `Cannot mount: no driver works here (${problems.join("; ")})`, {
    hint: `Build the addon with "${addonBuilder()}", or install the optional package fuse-native`,
  });
}
