/** Copies of snapshots are those that restic would have made, and each program knows the other's. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { copySnapshots } from "../../src/maintenance/copy-snapshots.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD, RESTIC_FROM_PASSWORD: PASSWORD };
const restic = resticWith(env);

interface SnapshotJson {
  readonly id: string;
  readonly tree: string;
  readonly original?: string;
  readonly parent?: string;
  readonly time: string;
  readonly tags?: readonly string[];
}

describe.skipIf(missingPeer("restic"))("copy", () => {
  let source: string;
  let files: string;

  beforeAll(async () => {
    const folder = await temporaryFolder();
    source = join(folder, "source");
    files = join(folder, "files");
    await restic(source, "init", "-q");
    await makeKeyCheap(source, PASSWORD);
    for (let round = 0; round < 3; round++) {
      await mkdir(join(files, "deep", `${round}`), { recursive: true });
      await writeFile(join(files, `large ${round}`), noise(1_500_000, round));
      for (let i = 0; i < 20; i++) await writeFile(join(files, "deep", `${round}`, `${i}`), noise(i * 50, i));
      await restic(source, "backup", "-q", "--tag", `round-${round}`, files);
    }
  });

  async function emptyTarget(version = 2): Promise<string> {
    const location = join(await temporaryFolder(), "target");
    await restic(location, "init", "-q", "--repository-version", String(version));
    await makeKeyCheap(location, PASSWORD);
    return location;
  }

  async function snapshotsOf(location: string): Promise<SnapshotJson[]> {
    const list = JSON.parse(await restic(location, "snapshots", "--json")) as SnapshotJson[];
    return list.sort((a, b) => a.time.localeCompare(b.time));
  }

  it("says which snapshots of the target cannot be read, as restic does: their sources are copied again", async () => {
    const target = await emptyTarget();
    await restic(target, "copy", "--from-repo", source);
    const [{ id }] = (await snapshotsOf(target)) as [SnapshotJson];
    await rm(join(target, "snapshots", id));
    await writeFile(join(target, "snapshots", id), "garbage");
    const line = new RegExp(`^Ignoring "${id}": `, "gm");
    for (const program of [runYore, runRestic]) {
      const copy = await copyOfRepository(target);
      const args = ["-r", copy, "copy", "--from-repo", source, "--no-cache"];
      const { code, stdout, stderr } = await program(args, { env });
      expect(code, stderr).toBe(0);
      expect(stdout.match(/ saved, copied from source snapshot /g)).toHaveLength(1);
      expect(stderr.match(line), stderr).toHaveLength(1);
    }
  });

  it.each([1, 2])(
    "makes in version %i what restic makes, which each takes for its own",
    { timeout: 60_000 },
    async (version) => {
      const [ours, theirs] = [await emptyTarget(version), await emptyTarget(version)];
      const args = ["copy", "--from-repo", source];
      const { code, stderr } = await runYore(["-r", ours, ...args], { env });
      expect(code, stderr).toBe(0);
      await restic(theirs, ...args);
      const essence = (list: SnapshotJson[]) =>
        list.map(({ tree, original, parent, time, tags }) => ({ tree, original, parent, time, tags }));
      expect(essence(await snapshotsOf(ours))).toEqual(essence(await snapshotsOf(theirs)));
      await restic(ours, "check", "--read-data");
      expect(
        (await runRestic(["-r", ours, ...args, "-v"], { env })).stdout.match(/was already copied/g),
      ).toHaveLength(3);
      expect(
        (await runYore(["-r", theirs, ...args, "-v"], { env })).stdout.match(/was already copied/g),
      ).toHaveLength(3);
      const target = await temporaryFolder();
      await restic(ours, "restore", "latest", "--target", target, "-q");
      expect(await differences(files, join(target, files))).toBe("");
    },
  );

  it.each([
    ["flags", ["--from-repo", "SOURCE"], {}],
    [
      "YORE_FROM_*",
      [],
      { YORE_FROM_REPOSITORY: "SOURCE", YORE_FROM_PASSWORD: PASSWORD, RESTIC_FROM_PASSWORD: "wrong" },
    ],
    ["RESTIC_FROM_*", [], { RESTIC_FROM_REPOSITORY: "SOURCE" }],
  ] as [string, string[], Record<string, string | undefined>][])(
    "finds the source by %s, and copies what is chosen",
    async (_, args, changes) => {
      const target = await emptyTarget();
      const put = (value: string | undefined) => (value === "SOURCE" ? source : value);
      const { code, stdout, stderr } = await runYore(
        ["-r", target, "copy", "--json", "--tag", "round-1", ...args.map((arg) => put(arg)!)],
        {
          env: {
            ...env,
            ...Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, put(value)])),
          },
        },
      );
      expect(code, stderr).toBe(0);
      const lines = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.at(-1)).toMatchObject({
        message_type: "summary",
        snapshots_copied: 1,
        snapshots_skipped: 0,
      });
      expect((await snapshotsOf(target)).map(({ tags }) => tags)).toEqual([["round-1"]]);
    },
  );

  it("refuses without a source, in restic's words", async () => {
    const target = await emptyTarget();
    const [theirs, ours] = [
      await runRestic(["-r", target, "copy"], { env }),
      await runYore(["-r", target, "copy"], { env }),
    ];
    expect(ours.code).toBe(theirs.code);
    expect(ours.stderr.split("\n")[0]).toBe(theirs.stderr.split("\n")[0]);
  });

  it("killed at any moment leaves no snapshot without its blobs, and goes on from there", {
    timeout: 240_000,
  }, async () => {
    const empty = await emptyTarget();
    const from = await openRepository(await LocalBackend.open(source));
    const work = async (target: Awaited<ReturnType<typeof openRepository>>) => {
      const [snapshots, present] = [await listSnapshots(from), await listSnapshots(target)];
      return copySnapshots(from, target, snapshots, present);
    };
    const changes = await dieEverywhere(empty, work, async (location) => {
      for (const lock of await readdir(join(location, "locks"))) await rm(join(location, "locks", lock));
      await restic(location, "check", "--read-data");
      await work(await openRepository(await LocalBackend.open(location)));
      await restic(location, "check", "--read-data");
      expect(await snapshotsOf(location)).toHaveLength(3);
    });
    expect(changes).toBeGreaterThan(4);
  });
});
