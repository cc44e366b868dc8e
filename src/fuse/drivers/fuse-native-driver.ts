/**
 * Transport through the optional package fuse-native: libfuse 2, which it brings along, prebuilt for linux-x64. Slower
 * than our own by a factor of five and more, but it needs no addon of ours.
 *
 * As root, libfuse 2 leaves its /dev/fuse open to child processes. One that lives on after this process is killed keeps
 * the dead connection alive; our own transport has no such leak.
 */

import { access, constants, readdir, readFile, readlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type FuseClass from "fuse-native";
import type { Signal } from "fuse-native";
import { delay } from "../../async/deadline.js";
import { keepsBytes } from "../../bytes/utf8.js";
import { messageOf } from "../../errors.js";
import { loadAddon } from "../../native/addon.js";
import type { Filesystem, KernelNotifier } from "../filesystem.js";
import { MountPlace } from "../mount-place.js";
import type { Driver, DriverOptions, MountHandle, UnmountOptions } from "./driver.js";
import { NativeOperations } from "./fuse-native-operations.js";
import { mountError } from "./mount-error.js";
import { PathNodes } from "./path-nodes.js";

const DEFAULT_GRACE_MS = 30_000;
/** How often the table of mounts is looked at: the package does not tell when somebody else unmounts. */
const WATCH_MS = 500;

export const fuseNativeDriver: Driver = {
  name: "fuse-native",

  async problem(): Promise<string | undefined> {
    try {
      await import("fuse-native");
      return undefined;
    } catch (error) {
      return `Cannot load the package "fuse-native": ${messageOf(error).split("\n")[0]}`;
    }
  },

  async mount(filesystem: Filesystem, options: DriverOptions): Promise<MountHandle> {
    const { default: Fuse } = await import("fuse-native");
    await access("/dev/fuse", constants.F_OK).catch((error: unknown) => {
      throw mountError(options.mountpoint, error, "fuse device not found");
    });
    if (keepsBytes(options.mountpoint))
      throw mountError(options.mountpoint, undefined, "fuse-native takes no name that is not UTF-8");
    const nodes = new PathNodes(filesystem);
    const fuse = createFuse(Fuse, new NativeOperations(filesystem, nodes, options), options);
    // libfuse cancels its threads wherever they are. One that is in libuv's handler of a signal takes libuv's lock with
    // it, and the process stands still at its next child or signal: so they take no signals.
    const addon = loadAddon();
    addon?.blockSignals(true);
    try {
      await new Promise<void>((resolve, reject) => {
        fuse.mount((error) => (error ? reject(mountError(options.mountpoint, error)) : resolve()));
      });
    } finally {
      addon?.blockSignals(false);
    }
    filesystem.start(new PathInvalidator(nodes));
    const place = await MountPlace.of(options.mountpoint);
    return new FuseNativeMount(fuse, place, () => closeAll(filesystem, nodes), options.onLog);
  },
};

async function closeAll(filesystem: Filesystem, nodes: PathNodes): Promise<void> {
  nodes.clear();
  await filesystem.close();
}

/** The kernel cannot be told through libfuse 2; it keeps names and attributes for a second only. */
class PathInvalidator implements KernelNotifier {
  readonly #nodes: PathNodes;
  constructor(nodes: PathNodes) {
    this.#nodes = nodes;
  }
  invalidateEntry(): void {
    this.#nodes.clear();
  }
  invalidateNode(): void {
    this.#nodes.clear();
  }
}

/**
 * Options are joined with commas by the package, which does not know all of them: those behind `fsname` are for
 * libfuse. Without `use_ino` it would invent inode numbers, and hard links could not be told.
 */
function libfuseOptions(options: DriverOptions): string {
  const escaped = options.fsname.replace(/[\\,]/g, "\\$&");
  const flags = [
    `subtype=${options.subtype}`,
    "use_ino",
    "ro",
    ...(options.allowSuid ? ["suid"] : []),
    ...(options.allowDevices ? ["dev"] : []),
  ];
  return [escaped, ...flags].join(",");
}

function createFuse(Fuse: typeof FuseClass, operations: NativeOperations, options: DriverOptions): FuseClass {
  class OurFuse extends Fuse {
    protected override _op_getxattr(signal: Signal, path: string, name: string, value: Buffer): void {
      operations.answerGetxattr(path, name, value, (code) => signal(code, value.buffer));
    }

    protected override _op_listxattr(signal: Signal, path: string, list: Buffer): void {
      operations.answerListxattr(path, list, (code) => signal(code, list.buffer));
    }

    /** The package would run `fusermount -uz`; here the mount is out of the tree already, whoever did it. */
    protected override _close(callback: (error: Error | null) => void): void {
      const require = createRequire(createRequire(import.meta.url).resolve("fuse-native"));
      const load = require("node-gyp-build") as (folder: string) => NativeBinding;
      load(dirname(require.resolve("fuse-native"))).fuse_native_unmount(this.mnt, this._thread!);
      callback(null);
    }
  }
  return new OurFuse(options.mountpoint, operations, {
    fsname: libfuseOptions(options),
    allowOther: options.allowOther,
    defaultPermissions: options.defaultPermissions,
    kernelCache: true,
    timeout: false,
  });
}

interface NativeBinding {
  /** Lets the event loop end; the mount itself must be gone. */
  fuse_native_unmount(mountpoint: string, thread: Buffer): void;
}

class FuseNativeMount implements MountHandle {
  readonly driver = "fuse-native";
  readonly mountpoint: string;
  readonly done: Promise<void>;
  readonly #place: MountPlace;
  #graceMs = DEFAULT_GRACE_MS;

  constructor(
    fuse: FuseClass,
    place: MountPlace,
    close: () => Promise<void>,
    onLog: ((line: string) => void) | undefined,
  ) {
    this.mountpoint = place.mountpoint;
    this.#place = place;
    this.done = this.#untilReleased()
      .then(() => new Promise<void>((resolve) => fuse.unmount(() => resolve())))
      .then(() => place.leave())
      .then(close)
      .catch((error: unknown) =>
        onLog?.(`The end of the mount at "${place.mountpoint}" failed: ${messageOf(error)}`),
      );
  }

  async unmount(options: UnmountOptions = {}): Promise<void> {
    const outcome = await this.#place.unmount(options.lazyIfBusy ?? false);
    this.#graceMs = outcome === "gone" ? 0 : (options.graceMs ?? DEFAULT_GRACE_MS);
  }

  /** Out of the tree, and what was still open then is closed or the grace is over. */
  async #untilReleased(): Promise<void> {
    while (await this.#place.isThere()) await delay(WATCH_MS);
    const graceEndsAt = performance.now() + this.#graceMs;
    while (performance.now() < graceEndsAt && (await this.#isConnected())) await delay(WATCH_MS);
  }

  /**
   * Whether libfuse still holds its end: it closes /dev/fuse when the kernel has let go. The descriptor tells which
   * connection it is, by the minor number of the mount's device.
   */
  async #isConnected(): Promise<boolean> {
    const minor = this.#place.device?.split(":")[1];
    if (minor === undefined) return false;
    for (const fd of await readdir("/proc/self/fd")) {
      if ((await readlink(`/proc/self/fd/${fd}`).catch(() => "")) !== "/dev/fuse") continue;
      const info = await readFile(`/proc/self/fdinfo/${fd}`, "utf8").catch(() => "");
      const connection = /^fuse_connection:\s*(\d+)/m.exec(info)?.[1];
      // Older kernels do not say; then it is taken for ours, and the grace is the limit.
      if (connection === undefined || connection === minor) return true;
    }
    return false;
  }
}
