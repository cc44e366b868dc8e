import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { freePort } from "../support/rest-servers.js";
import { spawnYore } from "../support/run.js";

/** `yore serve` as people run it. */
export class Served {
  readonly output: string[] = [];
  private constructor(
    readonly url: string,
    readonly child: ChildProcess,
  ) {}

  static async start(
    folder: string,
    flags: readonly string[] = ["--no-auth"],
    address?: string,
    env: Readonly<Record<string, string>> = {},
    spawned: typeof spawnYore = spawnYore,
  ): Promise<Served> {
    const port = await freePort();
    const child = spawned(["serve", "--path", folder, "--listen", address ?? `127.0.0.1:${port}`, ...flags], {
      env,
    });
    const served = new Served(`http://127.0.0.1:${port}/`, child);
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on("data", (piece: Buffer) => {
        served.output.push(piece.toString());
        if (served.output.join("").includes("Serving ")) resolve();
      });
      child.stderr!.on("data", (piece: Buffer) => served.output.push(piece.toString()));
      child.on("exit", () => reject(new Error(`the server ended: ${served.output.join("")}`)));
    });
    return served;
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve(this.child.exitCode);
      this.child.on("exit", (code) => resolve(code));
      this.child.kill(signal);
    });
  }

  /** Resident memory in bytes, now and at its highest. */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)![1]) * 1024;
    return { now: read("VmRSS"), peak: read("VmHWM") };
  }
}
