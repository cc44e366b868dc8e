/**
 * Our own transport: the addon opens /dev/fuse and mounts, a Session speaks with the kernel. No libfuse.
 */

import { lstat } from "node:fs/promises";
import { withDeadline } from "../../async/deadline.js";
import { systemPath } from "../../bytes/system-path.js";
import { bytesOfText } from "../../bytes/utf8.js";
import { messageOf, YoreError } from "../../errors.js";
import { type Addon, addonProblem, loadAddon } from "../../native/addon.js";
import type { FuseChannelHandle } from "../../native/fuse-functions.js";
import { AwakeProcessors } from "../awake-processors.js";
import type { Filesystem } from "../filesystem.js";
import { HELPERS } from "../fusermount.js";
import { REQUEST_BYTES } from "../kernel-abi.js";
import { ChannelPort } from "../kernel-port.js";
import { KernelRequest } from "../kernel-request.js";
import { MountPlace } from "../mount-place.js";
import { Placement } from "../placement.js";
import { raiseReadAhead } from "../read-ahead.js";
import { Session } from "../session.js";
import type { TurnTaking } from "../turn-taking.js";
import type { Driver, DriverOptions, MountHandle, UnmountOptions } from "./driver.js";
import { mountError } from "./mount-error.js";

/** mount(2) */
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;

const DEFAULT_GRACE_MS = 30_000;
/** How long unmounting may wait for pending answers. */
const PATIENCE_MS = 1_000;

export const ownDriver: Driver = {
  name: "own",

  problem(): Promise<string | undefined> {
    const addon = loadAddon();
    if (!addon) return Promise.resolve(addonProblem());
    return Promise.resolve("fuseMount" in addon ? undefined : "Its own FUSE server runs on Linux only");
  },

  async mount(filesystem: Filesystem, options: DriverOptions): Promise<MountHandle> {
    const addon = loadAddon();
    if (!addon) throw new YoreError("native", addonProblem() ?? "Cannot load the native addon");
    const port = new ChannelPort(await openChannel(addon, options));
    const mount = new OwnMount(filesystem, port, turnTaking(addon, options), options);
    await mount.begin();
    return mount;
  },
};

/** The best that this machine has; `undefined` where nothing can be done. */
function turnTaking(addon: Addon, { busyWait }: DriverOptions): TurnTaking | undefined {
  if (busyWait && AwakeProcessors.canBe()) return new AwakeProcessors();
  return "followThread" in addon ? new Placement(addon) : undefined;
}

/** As root with mount(2), as anybody else with the helper. */
async function openChannel(addon: Addon, options: DriverOptions): Promise<FuseChannelHandle> {
  const { mountpoint } = options;
  const path = bytesOfText(mountpoint);
  if (process.geteuid?.() === 0) {
    const flags = MS_RDONLY | (options.allowSuid ? 0 : MS_NOSUID) | (options.allowDevices ? 0 : MS_NODEV);
    return await addon
      .fuseMount(path, options.fsname, `fuse.${options.subtype}`, flags, mountData(options))
      .catch((error: unknown) => {
        throw mountError(mountpoint, error);
      });
  }
  for (const helper of HELPERS) {
    try {
      return await addon.fuseMountWithHelper(helper, path, helperOptions(options));
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!isMissing || helper === HELPERS.at(-1)) throw mountError(mountpoint, error);
    }
  }
  throw new Error("There is no helper to try");
}

/** Options of the FUSE file system itself; `rootmode` is octal. */
function mountData(options: DriverOptions): string {
  return [
    "rootmode=40000",
    `user_id=${process.geteuid?.() ?? 0}`,
    `group_id=${process.getegid?.() ?? 0}`,
    ...sharedOptions(options),
  ].join(",");
}

function helperOptions(options: DriverOptions): string {
  return [
    "ro",
    "nosuid",
    "nodev",
    `fsname=${options.fsname.replace(/[\\,]/g, "\\$&")}`,
    `subtype=${options.subtype}`,
    ...sharedOptions(options),
  ].join(",");
}

function sharedOptions(options: DriverOptions): string[] {
  return [
    ...(options.allowOther ? ["allow_other"] : []),
    ...(options.defaultPermissions ? ["default_permissions"] : []),
  ];
}

class OwnMount implements MountHandle {
  readonly driver = "own";
  readonly mountpoint: string;
  readonly done: Promise<void>;
  readonly #filesystem: Filesystem;
  readonly #port: ChannelPort;
  readonly #session: Session;
  readonly #options: DriverOptions;
  readonly #turns: TurnTaking | undefined;
  #place: MountPlace | undefined;
  #hasFailed = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(
    filesystem: Filesystem,
    port: ChannelPort,
    turns: TurnTaking | undefined,
    options: DriverOptions,
  ) {
    this.#turns = turns;
    this.mountpoint = options.mountpoint;
    this.#filesystem = filesystem;
    this.#port = port;
    this.#options = options;
    this.#session = new Session(filesystem, port, options);
    this.done = this.#session.ended.then(() => this.#finish());
  }

  /** Serves, and waits until the mount answers. What does not answer is taken away again. */
  async begin(): Promise<void> {
    const session = this.#session;
    const first = new KernelRequest(session.requests);
    try {
      this.#port.start(
        session.requests,
        REQUEST_BYTES,
        session.replies.bytes,
        (count, answered, refused, quiet) => {
          // A request that was answered already lies in the first slot still when no other came.
          this.#turns?.note(count || 1, first, quiet);
          session.onRequests(count, answered, refused);
        },
        (errno) => session.onEnd(errno),
      );
      this.#place = await MountPlace.of(this.mountpoint);
      const deadlineMs = this.#options.readDeadlineMs;
      await withDeadline(session.ready, deadlineMs, `mount at "${this.mountpoint}"`);
      if (this.#place.device) await raiseReadAhead(this.#place.device);
      await withDeadline(
        lstat(systemPath(this.mountpoint)),
        deadlineMs,
        `read the root of "${this.mountpoint}"`,
      );
    } catch (error) {
      this.#hasFailed = true;
      session.onEnd(0);
      await this.done;
      throw error instanceof YoreError ? error : mountError(this.mountpoint, error);
    }
  }

  async unmount(options: UnmountOptions = {}): Promise<void> {
    // A mount that is in use says so at once. When it takes longer, the kernel waits for reads whose readers are gone.
    const impatience = setInterval(() => this.#session.giveUpPending(), PATIENCE_MS);
    try {
      const outcome = await this.#place?.unmount(options.lazyIfBusy ?? false);
      if (outcome === "lazy") this.#limitGrace(options.graceMs ?? DEFAULT_GRACE_MS);
    } finally {
      clearInterval(impatience);
    }
  }

  #limitGrace(graceMs: number): void {
    this.#grace ??= setTimeout(() => this.#session.onEnd(0), graceMs);
    void this.done.then(() => clearTimeout(this.#grace));
  }

  /** The connection has ended, by whomever. */
  async #finish(): Promise<void> {
    this.#port.close();
    this.#turns?.stop();
    try {
      await this.#place?.leave();
      if (!this.#hasFailed) await this.#filesystem.close();
    } catch (error) {
      this.#options.onLog?.(`The end of the mount at "${this.mountpoint}" failed: ${messageOf(error)}`);
    }
  }
}
