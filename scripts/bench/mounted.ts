/** A mounted repository while something is measured in it: started, waited for, asked what it used, unmounted. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { accountOf, measure, type Sample } from "./measure.js";
import { environmentOf, type Program } from "./programs.js";

const MOUNT_LIMIT_MS = 120_000;

export class Mounted {
  readonly path: string;
  /** From the start of the program until the mountpoint is a file system of its own. */
  readonly mountSeconds: number;
  readonly #child: ChildProcess;

  private constructor(path: string, child: ChildProcess, mountSeconds: number) {
    this.path = path;
    this.#child = child;
    this.mountSeconds = mountSeconds;
  }

  static async start(program: Program, repository: string, flags: readonly string[] = []): Promise<Mounted> {
    const path = mkdtempSync(join(tmpdir(), "yore-bench-mount-"));
    const [executable, ...args] = [...program.argv, "--no-cache", "mount", ...flags, path];
    const started = process.hrtime.bigint();
    const child = spawn(executable!, args, {
      env: { ...process.env, ...environmentOf(repository) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    while (!(await isMounted(path))) {
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (child.exitCode !== null || seconds * 1000 > MOUNT_LIMIT_MS) {
        child.kill("SIGKILL");
        throw new Error(`${program.name} mount did not come up (exit code ${child.exitCode})`);
      }
      await delay(2);
    }
    return new Mounted(path, child, Number(process.hrtime.bigint() - started) / 1e9);
  }

  /** The root of the newest snapshot. */
  get latest(): string {
    return join(this.path, "snapshots/latest");
  }

  /** Measures a command that reads the mount; the server's processor time and memory count, not the command's. */
  async measure(argv: readonly string[]): Promise<Sample> {
    const before = accountOf(this.#child.pid!);
    const sample = await measure({ argv });
    const after = accountOf(this.#child.pid!);
    return {
      seconds: sample.seconds,
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      peakBytes: after.peakBytes,
    };
  }

  account(): { cpuSeconds: number; peakBytes: number } {
    return accountOf(this.#child.pid!);
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    if (this.#child.exitCode === null) this.#child.kill("SIGINT");
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
    if (this.#child.exitCode === null) await gone;
    clearTimeout(killer);
    if (await isMounted(this.path)) spawnSync("umount", ["-l", this.path]);
    if (readdirSync(this.path).length === 0) rmdirSync(this.path);
  }
}

async function isMounted(path: string): Promise<boolean> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts.split("\n").some((line) => line.split(" ")[1] === path);
}
