/** What the suites over every driver share: mounts of toy filesystems, and children that look at them. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach } from "vitest";
import {
  type DriverName,
  type MountHandle,
  type MountOptions,
  mountFilesystem,
} from "../../src/fuse/mount.js";
import {
  directory,
  file,
  ToyFilesystem,
  type ToyFilesystemOptions,
  type ToyNode,
} from "../fuse/toy-filesystem.js";
import { type RunResult, run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** When the addon runs under a sanitizer, the programs that look at the mount do not. */
const TOOLS = { LD_PRELOAD: undefined };
export const tool = (program: string, args: readonly string[]) => run(program, args, { env: TOOLS });

/** What a driver cannot do is said here, and its tests are left out. */
export interface FilesystemSuiteOptions {
  readonly driver: DriverName;
  /** Names of any bytes, exact times, all 64 bits of inode numbers. */
  readonly isExact: boolean;
  /** SEEK_DATA and SEEK_HOLE. */
  readonly canSeek: boolean;
  /** Interrupted reads end at once. */
  readonly canInterrupt: boolean;
  /** Notifications reach the kernel, and it may believe answers for ever. */
  readonly canInvalidate: boolean;
  /** Contents can be given to the kernel before they are asked for. */
  readonly canStore: boolean;
}

export interface Mounted {
  readonly filesystem: ToyFilesystem;
  readonly mount: MountHandle;
  readonly log: string[];
  /** Runs a shell script inside the mount; it begins there by itself, and not by `cwd`. */
  readonly shell: (script: string) => Promise<RunResult>;
}

/** Functions that mount over a driver and start children, all of which end with the test. */
export function mountsOver(driver: DriverName) {
  const mounts: MountHandle[] = [];
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    for (const mount of mounts.splice(0)) {
      await mount.unmount({ lazyIfBusy: true, graceMs: 2_000 });
      await mount.done;
    }
  });

  async function mounted(
    root: ToyNode,
    mountOptions: Partial<MountOptions> = {},
    toyOptions: ToyFilesystemOptions = {},
  ): Promise<Mounted> {
    const filesystem = new ToyFilesystem(root, toyOptions);
    const log: string[] = [];
    const mountpoint = await temporaryFolder();
    const mount = await mountFilesystem(filesystem, {
      mountpoint,
      driver,
      onLog: (line) => log.push(line),
      ...mountOptions,
    });
    mounts.push(mount);
    const shell = (script: string) =>
      run("sh", ["-c", `cd "$1" && ${script}`, "sh", mountpoint], { env: TOOLS });
    return { filesystem, mount, log, shell };
  }

  /** A mount with one file whose reads get no answer, and a promise of the first such read. */
  async function mountedWithSilentFile(): Promise<Mounted & { readonly asked: Promise<void> }> {
    let isAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const read = () => {
      isAsked();
      return new Promise<Buffer[]>(() => {});
    };
    return { ...(await mounted(directory({ silent: file("silent", { read }) }))), asked };
  }

  /** A child that says on its standard output when it has come so far. */
  async function started(script: string, ...args: string[]): Promise<ChildProcess> {
    const child = spawn("sh", ["-c", script, "sh", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...TOOLS },
    });
    children.push(child);
    await once(child.stdout!, "data");
    return child;
  }

  return { mounted, mountedWithSilentFile, started };
}

/** Waits for something that comes by itself; the test's own time limit is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Tries again until it succeeds; the last failure is thrown after five seconds. */
export async function eventually(attempt: () => Promise<void>): Promise<void> {
  const giveUpAt = Date.now() + 5_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
  }
}
