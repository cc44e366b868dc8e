/** Both programs mount the same repository side by side with the same flags, and the same names are there. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, peer, run, spawnYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { eventually, PASSWORD, restic } from "./mounting.js";

describe.skipIf((await ownDriver.problem()) !== undefined || missingPeer("restic"))("mount", () => {
  let repository: string;
  let files: string;
  const started: ChildProcess[] = [];
  const mountpoints: string[] = [];

  beforeAll(async () => {
    const folder = await temporaryFolder();
    repository = join(folder, "repository");
    files = join(folder, "files");
    await mkdir(join(files, "sub"), { recursive: true });
    await writeFile(join(files, "sub/file"), "content");
    await writeFile(join(files, "run"), "#!/bin/sh\n", { mode: 0o4751 });
    await restic(repository, "init", "-q");
    await makeKeyCheap(repository, PASSWORD);
    const backup = ["backup", "-q", "--time"];
    await restic(
      repository,
      ...backup,
      "2024-01-01 10:00:00",
      "--host",
      "one",
      "--tag",
      "a",
      "--tag",
      "b",
      files,
    );
    await restic(repository, ...backup, "2024-01-01 10:00:00", "--host", "two", files);
    await restic(
      repository,
      ...backup,
      "2024-02-03 04:05:06",
      "--host",
      "one",
      "--tag",
      "b",
      join(files, "sub"),
    );
  });

  afterEach(async () => {
    for (const child of started.splice(0)) {
      const ended = child.exitCode === null ? once(child, "exit") : undefined;
      child.kill("SIGINT");
      await ended;
    }
    for (const path of mountpoints.splice(0)) await run("umount", ["-l", path]);
  });

  /** What a mount shows: types, links, modes and owners of all that is in it. */
  async function shown(program: "yore" | "restic", args: readonly string[]): Promise<string[]> {
    const path = join(await realpath(await temporaryFolder()), program);
    await mkdir(path);
    mountpoints.push(path);
    const env = { ...process.env, RESTIC_PASSWORD: PASSWORD, RESTIC_REPOSITORY: repository, TZ: "UTC" };
    const all = ["mount", "--no-cache", ...args, path];
    const child = program === "yore" ? spawnYore(all, { env }) : spawn(peer("restic")!, all, { env });
    started.push(child);
    child.stdout!.resume();
    child.stderr!.resume();
    const list = () => run("find", [path, "-mindepth", "1", "-printf", "%P %y %m %U %G %l\n"]);
    await eventually('test -n "$(ls "$1")"', path);
    // What restic calls `latest` leads to it relatively; sizes and counts of links are its defects.
    return (await list()).stdout.split("\n").sort();
  }

  it.each([
    [[]],
    [["--host", "one"]],
    [["-H", "two"]],
    [["--tag", "a,b", "--path", "FILES"]],
    [["--path-template", "%u/%h/%T"]],
    [["--path-template", "by-tag/%t", "--path-template", "by-id/%i", "--time-template", "2006-01-02"]],
    [["--allow-other"]],
    [["--allow-other", "--no-default-permissions"]],
    [["--owner-root"]],
  ])("%j shows the same as restic's", { timeout: 60_000 }, async (args) => {
    const filled = args.map((arg) => arg.replace("FILES", files));
    const ours = await shown("yore", filled);
    expect(ours.length).toBeGreaterThan(5);
    expect(ours).toEqual(await shown("restic", filled));
  });
});
