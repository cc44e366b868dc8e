import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeZoo } from "../support/make-zoo.js";
import { missingPeer } from "../support/run.js";
import { differences, SharedRepository } from "../support/same-backup.js";
import { temporaryFolder } from "../support/temporary.js";

const SAMPLES = [
  { version: 2, order: ["restic", "yore"] },
  { version: 2, order: ["yore", "restic"] },
  { version: 1, order: ["restic", "yore"] },
  { version: 1, order: ["yore", "restic"] },
] as const;

describe.skipIf(missingPeer("restic"))("backup beside the real restic", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    await makeZoo(join(folder, "zoo"));
  });

  for (const { version, order } of SAMPLES) {
    it(`makes the same tree in a repository of version ${version}, ${order.join(" first, then ")}`, async () => {
      const repository = await SharedRepository.create(version);
      const first = await repository.backup(order[0], ["zoo"], { cwd: folder });
      const second = await repository.backup(order[1], ["zoo", "--force"], { cwd: folder });
      expect(second.tree).toBe(first.tree);
      expect(second).toMatchObject({ data_blobs: 0, tree_blobs: 0, data_added: 0 });
      for (const field of ["files_new", "dirs_new", "total_files_processed", "total_bytes_processed"])
        expect(second[field], field).toBe(first[field]);
      const check = await repository.run("restic", ["check", "--read-data"]);
      expect(check.stdout + check.stderr).toContain("no errors were found");
    });
  }

  it("makes what restic finds no fault with and restores exactly", async () => {
    const repository = await SharedRepository.create();
    await repository.backup("yore", ["zoo"], { cwd: folder });
    const target = await temporaryFolder();
    await repository.succeed("restic", ["check", "--read-data"]);
    await repository.succeed("restic", ["restore", "latest", "--target", target]);
    // Nobody stores sockets.
    expect(await differences(join(folder, "zoo"), join(target, "zoo"))).toBe(
      "cS+++++++++ special/left socket\n",
    );
  });

  it.skipIf(missingPeer("restic-debian"))("makes what Debian's older restic can use as well", async () => {
    const repository = await SharedRepository.create();
    await repository.backup("yore", ["zoo"], { cwd: folder });
    const target = await temporaryFolder();
    await repository.succeed("restic-debian", ["check", "--read-data"]);
    await repository.succeed("restic-debian", ["restore", "latest", "--target", target]);
    // It puts the attributes of a link on the link's target and knows no target that is not UTF-8.
    for (const part of ["names", "times"])
      expect(await differences(join(folder, "zoo", part), join(target, "zoo", part)), part).toBe("");
    expect(await differences(join(folder, "zoo/contents"), join(target, "zoo/contents"), "-aHAn")).toBe("");
  });

  it("does not look at times of change and inode numbers when the environment says so", async () => {
    const repository = await SharedRepository.create();
    const source = await temporaryFolder();
    writeFileSync(join(source, "kept"), "kept");
    await repository.backup("restic", ["."], { cwd: source });
    chmodSync(join(source, "kept"), 0o600);
    const again = (env: Record<string, string>) =>
      repository.backup("yore", ["--dry-run", "."], { cwd: source, env });
    expect(await again({ RESTIC_IGNORE_CTIME: "false" })).toMatchObject({ files_changed: 1 });
    expect(await again({ RESTIC_IGNORE_CTIME: "true" })).toMatchObject({ files_unmodified: 1 });
    expect(await again({ YORE_IGNORE_INODE: "1" })).toMatchObject({ files_unmodified: 1 });
    const wrong = await repository.run("yore", ["backup", source], { env: { YORE_IGNORE_INODE: "maybe" } });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain("YORE_IGNORE_INODE");
  });

  it("finds the parent that the other program made, and takes what is unchanged from it", async () => {
    const repository = await SharedRepository.create();
    const source = await temporaryFolder();
    mkdirSync(join(source, "data/sub"), { recursive: true });
    writeFileSync(join(source, "data/kept"), "kept");
    writeFileSync(join(source, "data/sub/changed"), "before");
    const first = await repository.backup("yore", ["data"], { cwd: source });
    const second = await repository.backup("restic", ["data"], { cwd: source });
    expect(second).toMatchObject({ files_new: 0, files_unmodified: 2, dirs_unmodified: 2, tree: first.tree });
    writeFileSync(join(source, "data/sub/changed"), "after it");
    const third = await repository.backup("yore", ["data"], { cwd: source });
    expect(third).toMatchObject({ files_changed: 1, files_unmodified: 1, dirs_changed: 2, data_blobs: 1 });
    const fourth = await repository.backup("restic", ["data"], { cwd: source });
    expect(fourth).toMatchObject({ files_unmodified: 2, dirs_unmodified: 2, tree: third.tree });
    const fifth = await repository.backup("yore", ["data", "--skip-if-unchanged"], { cwd: source });
    expect([fifth.snapshot_id, fifth["files_unmodified"]]).toEqual([undefined, 2]);
    const parent = await repository.succeed("restic", ["cat", "snapshot", third.snapshot_id!]);
    expect(JSON.parse(parent.stdout)).toMatchObject({ parent: second.snapshot_id });
  });

  it("says what restic says, with -v and without", async () => {
    const source = await temporaryFolder();
    writeFileSync(join(source, "file"), "content");
    /** Without what differs from run to run. */
    const masked = (text: string) =>
      text
        .replace(/snapshot [0-9a-f]{8}/g, "snapshot ID")
        .replace(/\d+\.\d+s|\d:\d\d$/gm, "TIME")
        .replace(/[\d.]+ (B|KiB) ( *)stored/g, "SIZE stored");
    for (const flags of [[], ["-v"], ["-vv"], ["-q"]]) {
      const outputs = [];
      for (const program of ["restic", "yore"] as const) {
        const repository = await SharedRepository.create();
        const result = await repository.succeed(program, ["backup", ...flags, "file"], { cwd: source });
        // The estimate runs beside the backup, so its line stands anywhere.
        outputs.push(masked(result.stdout).split("\n").sort());
      }
      expect(outputs[1], flags.join()).toEqual(outputs[0]);
    }
  });

  it("agrees with restic in a zone with summer time", async () => {
    const repository = await SharedRepository.create();
    const options = { cwd: folder, env: { TZ: "Europe/Berlin" } };
    const first = await repository.backup("restic", ["zoo/times", "--with-atime"], options);
    const second = await repository.backup("yore", ["zoo/times", "--with-atime", "--force"], options);
    expect(second.tree).toBe(first.tree);
  });
});
