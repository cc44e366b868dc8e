/** The repository lies on a FUSE mount whose server is stopped: a disk that hangs. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { eventually, output, shell } from "../mount/mounting.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { runYore, spawnYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };
const isUsable = (await ownDriver.problem()) === undefined && process.getuid?.() === 0;

describe.runIf(isUsable)("yore mount of a repository on a disk that hangs", () => {
  const started: ChildProcess[] = [];
  let disk: ChildProcess;
  let outer: string;
  let diskPath: string;
  let path: string;

  beforeAll(async () => {
    const folder = await realpath(await temporaryFolder());
    const inner = join(folder, "inner");
    outer = join(folder, "outer");
    diskPath = join(folder, "disk");
    path = join(folder, "mnt");
    await mkdir(diskPath);
    await mkdir(path);
    for (const repository of [inner, outer]) {
      await runYore(["init", "-r", repository], { env });
      await makeKeyCheap(repository, "geheim");
    }
    await output('head -c 3000000 /dev/urandom > "$1/big"', folder);
    await runYore(["backup", "-r", inner, "big"], { env, cwd: folder });
    await runYore(["backup", "-r", outer, "inner"], { env, cwd: folder });
  });

  beforeEach(async () => {
    disk = await serve("-r", outer, "latest:/inner", diskPath);
  });

  afterEach(async () => {
    disk.kill("SIGCONT");
    for (const child of started.splice(0)) child.kill("SIGKILL");
    for (const place of [path, diskPath]) await shell('while umount -l "$1" 2> /dev/null; do :; done', place);
  });

  async function serve(...args: string[]): Promise<ChildProcess> {
    const child = spawnYore(["mount", ...args], { env });
    started.push(child);
    await once(child.stdout!, "data");
    return child;
  }

  it("ends within seconds after Ctrl-C, and nothing stays mounted", async () => {
    const child = await serve("-r", diskPath, "--read-timeout", "1s", path);
    expect(await output('ls "$1/snapshots/latest"', path)).toBe("big");
    disk.kill("SIGSTOP");
    expect((await shell('cat "$1/snapshots/latest/big"', path)).stderr).toMatch(/Input\/output error/);
    const ended = once(child, "exit");
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
    await eventually('! grep -q " $1 " /proc/self/mountinfo', path);
  }, 60_000);

  it("ends within seconds after Ctrl-C while it waits for the repository", async () => {
    disk.kill("SIGSTOP");
    const child = spawnYore(["mount", "-r", diskPath, path], { env });
    started.push(child);
    const ended = once(child, "exit");
    // It waits: a thread of its is within the file system that hangs.
    await eventually("grep -q request_wait_answer /proc/$1/task/*/wchan", String(child.pid));
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
  }, 60_000);
});
