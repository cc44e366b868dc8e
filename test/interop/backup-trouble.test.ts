import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noise } from "../support/make-zoo.js";
import { missingPeer, peer, run, spawnYore, yoreCommand } from "../support/run.js";
import { SharedRepository } from "../support/same-backup.js";
import { temporaryFolder } from "../support/temporary.js";

const isRoot = process.getuid?.() === 0;

/** A folder with enough in it that a backup of it can be caught in the middle. */
async function makeLoad(): Promise<string> {
  const folder = await temporaryFolder();
  for (let i = 0; i < 40; i++) {
    mkdirSync(join(folder, "load", String(i)), { recursive: true });
    writeFileSync(join(folder, "load", String(i), "file"), noise(5_000_000, 1000 + i));
  }
  return folder;
}

/** Starts a backup and waits until it is certainly under way: some files are done, not all. */
async function startBackup(repository: SharedRepository, cwd: string, ...flags: string[]) {
  const env = { RESTIC_REPOSITORY: repository.location, RESTIC_PASSWORD: "geheim", YORE_PROGRESS_FPS: "60" };
  const child = spawnYore(["backup", "--no-cache", "--json", "--pack-size", "4", ...flags, "load"], {
    env,
    cwd,
  });
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  let text = "";
  await new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.stdout!.on("data", (piece) => {
      text += piece;
      if (/"files_done":([5-9]|[123]\d)\b/.test(text)) resolve();
    });
  });
  return { child, ended, wasUnderWay: !text.includes('"summary"') };
}

describe.skipIf(missingPeer("restic"))("backup in trouble", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    it(`leaves a sound repository behind when it is ended by ${signal}, and the next one goes on from there`, async () => {
      const repository = await SharedRepository.create();
      const source = await makeLoad();
      const { child, ended, wasUnderWay } = await startBackup(repository, source);
      child.kill(signal);
      const [code, by] = await ended;
      expect(wasUnderWay).toBe(true);
      if (signal === "SIGKILL") expect(by).toBe("SIGKILL");
      else expect(code).toBe(130);
      expect((await repository.succeed("restic", ["list", "snapshots"])).stdout).toBe("");
      if (signal === "SIGKILL") await repository.succeed("restic", ["unlock"]);
      else expect((await repository.succeed("restic", ["list", "locks"])).stdout).toBe("");
      await repository.succeed("restic", ["check", "--read-data"]);
      const next = await repository.backup("yore", ["load"], { cwd: source });
      expect(next["files_new"]).toBe(40);
      // What was finished before a polite end is in the index, and is not saved again.
      const total = 40 * 5_000_000;
      if (signal !== "SIGKILL") expect(next["data_added"]).toBeLessThan(total - 5_000_000);
      await repository.succeed("restic", ["check", "--read-data"]);
    });
  }

  it.runIf(isRoot)("says when the disk is full, and the repository is sound once there is room", async () => {
    const folder = await temporaryFolder();
    const disk = join(folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", disk]);
    try {
      const repository = await SharedRepository.create(2, join(disk, "repository"));
      const source = await makeLoad();
      const result = await repository.run("yore", ["backup", "load"], { cwd: source });
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/no space/i);
      execFileSync("mount", ["-o", "remount,size=400m", disk]);
      await repository.succeed("restic", ["check", "--read-data"]);
      await repository.backup("yore", ["load"], { cwd: source });
      await repository.succeed("restic", ["check", "--read-data"]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  it.runIf(isRoot)("saves what it can read, as restic does, and ends with 3", async () => {
    const source = await temporaryFolder();
    // Another user must be able to get here.
    const parent = join(source, "..");
    chmodSync(parent, statSync(parent).mode | 0o011);
    mkdirSync(join(source, "data/closed"), { recursive: true });
    mkdirSync(join(source, "data/open"));
    for (const name of ["closed/in", "open/mine", "open/not mine"])
      writeFileSync(join(source, "data", name), name);
    for (const name of ["", "data", "data/open", "data/open/mine"]) chownSync(join(source, name), 1000, 1000);
    chmodSync(join(source, "data/open/not mine"), 0o600);
    chmodSync(join(source, "data/closed"), 0o700);
    const repository = await SharedRepository.create(2, join(source, "repository"));
    execFileSync("chown", ["-R", "1000:1000", join(source, "repository")]);
    const results = [];
    for (const program of ["restic", "yore"] as const) {
      const env = {
        RESTIC_REPOSITORY: repository.location,
        RESTIC_PASSWORD: "geheim",
        HOME: source,
        TMPDIR: source,
      };
      const args = ["backup", "--no-cache", "--json", "--force", "data"];
      const command = program === "yore" ? yoreCommand(args) : `${peer("restic")} ${args.join(" ")}`;
      const asUser = ["--reuid", "1000", "--regid", "1000", "--clear-groups", "sh", "-c", command];
      const result = await run("setpriv", asUser, { env, cwd: source });
      const errors = result.stderr.split("\n").filter((line) => line.includes('"archival"')).length;
      results.push({ code: result.code, errors });
    }
    expect(results).toEqual([
      { code: 3, errors: 2 },
      { code: 3, errors: 2 },
    ]);
    const snapshots = JSON.parse((await repository.succeed("restic", ["snapshots", "--json"])).stdout);
    expect(snapshots[1].tree).toBe(snapshots[0].tree);
    expect((await repository.succeed("restic", ["ls", "latest"])).stdout).not.toContain("not mine");
  });

  it("ends with 3 when a target does not exist, and with 1 when none does", async () => {
    const repository = await SharedRepository.create();
    const source = await temporaryFolder();
    writeFileSync(join(source, "there"), "there");
    const some = await repository.run("yore", ["backup", "there", "gone"], { cwd: source });
    expect([some.code, some.stdout.includes("saved")]).toEqual([3, true]);
    expect(some.stderr).toContain("gone does not exist, skipping");
    const none = await repository.run("yore", ["backup", "gone"], { cwd: source });
    expect([none.code, none.stderr.includes("all source directories/files do not exist")]).toEqual([1, true]);
  });

  it("goes on without targets that cannot be looked at", async () => {
    const repository = await SharedRepository.create();
    const source = await temporaryFolder();
    writeFileSync(join(source, "there"), "there");
    writeFileSync(join(source, "list"), `there\n${"x".repeat(300)}\nthere/below\nwith a\0zero\n`);
    for (const program of ["restic", "yore"] as const) {
      const some = await repository.run(program, ["backup", "--files-from-verbatim", "list"], {
        cwd: source,
      });
      expect([some.code, some.stdout.includes("saved")], program).toEqual([3, true]);
      for (const name of ["xxx", "there/below", "with a\0zero"])
        expect(some.stderr, program).toContain(`${name} cannot be accessed, skipping`);
    }
    const snapshots = JSON.parse((await repository.succeed("restic", ["snapshots", "--json"])).stdout);
    expect(snapshots[1].tree).toBe(snapshots[0].tree);
    expect(snapshots[1].paths).toEqual(snapshots[0].paths);
    const none = await repository.run("yore", ["backup", "there/below"], { cwd: source });
    expect([none.code, none.stderr.includes("all source directories/files do not exist")]).toEqual([1, true]);
  });

  it("reads a file again when the parent's blobs are gone", async () => {
    const repository = await SharedRepository.create();
    const source = await temporaryFolder();
    writeFileSync(join(source, "file"), noise(3_000_000, 5));
    const first = await repository.backup("yore", ["file"], { cwd: source });
    const blobs = (await repository.succeed("restic", ["list", "packs"])).stdout.trim().split("\n");
    for (const pack of blobs) {
      const header = await repository.run("restic", ["cat", "pack", pack]);
      if (header.stdoutBytes.length > 1_000_000)
        rmSync(join(repository.location, "data", pack.slice(0, 2), pack));
    }
    await repository.run("restic", ["repair", "index"]);
    const again = await repository.run("yore", ["backup", "file"], { cwd: source });
    expect([again.code, again.stderr.includes("storing the file again")]).toEqual([3, true]);
    const snapshots = JSON.parse((await repository.succeed("restic", ["snapshots", "--json"])).stdout);
    expect(snapshots.at(-1).tree).toBe(first.tree);
    await repository.succeed("restic", ["check", "--read-data"]);
  });
});
