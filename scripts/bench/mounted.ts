/** A mount by one of the programs: started, waited for, asked what it used, unmounted. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, cleanEnvironment, measure, type Sample } from "./measure.js";
import { accountOf } from "./process-tree.js";
import type { Program } from "./programs.js";

const MOUNT_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;

export class Mounted {
  readonly path: string;
  /** From the start of the program until the mountpoint is a file system of its own. */
  readonly mountSeconds: number;
  readonly #program: Program;
  readonly #child: ChildProcess;

  private constructor(program: Program, path: string, child: ChildProcess, mountSeconds: number) {
    this.#program = program;
    this.path = path;
    this.#child = child;
    this.mountSeconds = mountSeconds;
  }

  /** @param flags global flags @throws {Error} if the mount does not come up */
  static async start(
    program: Program,
    env: Readonly<Record<string, string>>,
    flags: readonly string[] = [],
  ): Promise<Mounted> {
    const path = mkdtempSync(join(tmpdir(), "yore-bench-mount-"));
    const argv = [...program.argv, ...flags, "mount", path];
    const started = process.hrtime.bigint();
    const child = spawn(argv[0]!, argv.slice(1), {
      env: cleanEnvironment(env),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => {
      if (said.length < 4000) said += text;
    });
    while (!(await isMounted(path))) {
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (child.exitCode !== null || child.signalCode !== null || seconds * 1000 > MOUNT_LIMIT_MS) {
        child.kill("SIGKILL");
        rmdirSync(path);
        throw new CommandError(argv, child.exitCode ?? child.signalCode, said);
      }
      await delay(2);
    }
    return new Mounted(program, path, child, Number(process.hrtime.bigint() - started) / 1e9);
  }

  /** The root of the newest snapshot. */
  get latest(): string {
    return join(this.path, "snapshots/latest");
  }

  /**
   * Measures a command that reads the mount: its processor time and the server's, the memory of the server alone.
   * @throws {Error} if the command fails, or the server died of it
   */
  async measure(argv: readonly string[]): Promise<{ sample: Sample; stdout: string }> {
    const before = accountOf(this.#child.pid!);
    const { sample, stdout } = await measure({ argv });
    const after = this.account();
    return {
      sample: {
        seconds: sample.seconds,
        cpuSeconds: sample.cpuSeconds + after.cpuSeconds - before.cpuSeconds,
        peakBytes: after.peakBytes,
      },
      stdout,
    };
  }

  /** What the server used since its start. */
  account(): { cpuSeconds: number; peakBytes: number } {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(
        `${this.#program.name} mount ended with ${this.#child.exitCode ?? this.#child.signalCode}`,
      );
    }
    return accountOf(this.#child.pid!);
  }

  /** Unmounts as a user does, with SIGINT; what does not end by it is killed and taken away. */
  async stop(): Promise<void> {
    const child = this.#child;
    const running = child.exitCode === null && child.signalCode === null;
    const gone = running ? new Promise<void>((resolve) => child.once("exit", () => resolve())) : undefined;
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    child.kill("SIGINT");
    await gone;
    clearTimeout(killer);
    if (await isMounted(this.path)) spawnSync("umount", ["-l", this.path]);
    if (readdirSync(this.path).length === 0) rmdirSync(this.path);
  }
}

async function isMounted(path: string): Promise<boolean> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts.split("\n").some((line) => line.split(" ")[1] === path);
}
