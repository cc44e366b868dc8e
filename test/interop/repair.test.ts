/** Whatever is damaged, yore mends what restic mends, and says the same of what is lost. */

import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatId, parseId } from "../../src/bytes/id.js";
import { encodeIndexFile } from "../../src/format/index-file.js";
import { repairIndex } from "../../src/maintenance/repair-index.js";
import { repairPacks } from "../../src/maintenance/repair-packs.js";
import { repairSnapshots } from "../../src/maintenance/repair-snapshots.js";
import { requireWholeIndex } from "../../src/maintenance/whole-index.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { copyOfRepository, temporaryFolder, unpackFixture } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const restic = resticWith(env);

type Run = typeof runYore;

async function filesBelow(location: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(location, folder), { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths) await chmod(path, 0o600);
  return paths.sort();
}

/** Packs, the largest first: the first ones have data, the last ones have trees. */
async function packsOf(location: string): Promise<string[]> {
  const paths = await filesBelow(location, "data");
  const sizes = new Map(
    await Promise.all(paths.map(async (path) => [path, (await stat(path)).size] as const)),
  );
  return paths.sort((a, b) => sizes.get(b)! - sizes.get(a)!);
}

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[offset < 0 ? bytes.length + offset : offset]! ^= 1;
  await writeFile(path, bytes);
}

const DAMAGE: Record<string, (location: string) => Promise<void>> = {
  nothing: async () => {},
  "no index": async (location) => {
    for (const path of await filesBelow(location, "index")) await rm(path);
  },
  "a missing index file": async (location) => rm((await filesBelow(location, "index"))[0]!),
  "a damaged index file": async (location) => flip((await filesBelow(location, "index"))[0]!, 50),
  "a missing data pack": async (location) => rm((await packsOf(location))[0]!),
  "a missing pack of trees": async (location) => rm((await packsOf(location)).at(-1)!),
  "all packs of trees missing": async (location) => {
    for (const path of (await packsOf(location)).slice(-3)) await rm(path);
  },
  "a pack that was cut": async (location) => truncate((await packsOf(location))[0]!, 5000),
  "a pack that has grown": async (location) =>
    writeFile((await packsOf(location))[0]!, "more", { flag: "a" }),
  "a pack that is no pack": async (location) => {
    await mkdir(join(location, "data/ff"), { recursive: true });
    await writeFile(join(location, "data/ff", "f".repeat(64)), noise(1000, 1));
  },
};

describe.skipIf(missingPeer("restic"))("repair", () => {
  let original: string;

  beforeAll(async () => {
    const folder = await temporaryFolder();
    original = join(folder, "repository");
    await restic(original, "init");
    await makeKeyCheap(original, PASSWORD);
    for (let round = 0; round < 3; round++) {
      const source = join(folder, "source");
      await mkdir(join(source, "deep", `er-${round}`), { recursive: true });
      await writeFile(join(source, "shared"), noise(700_000, 1));
      await writeFile(join(source, `new "${round}"\n`), noise(3_000_000 - round * 1_000_000, 10 + round));
      await writeFile(join(source, "deep", `er-${round}`, "small"), `text ${round}`);
      await restic(original, "backup", "--time", `2026-01-0${round + 1} 12:00:00`, source);
    }
  });

  /** The trees that all snapshots have, and what tells copies apart. */
  async function snapshotsOf(location: string): Promise<unknown[]> {
    const json = await restic(location, "snapshots", "--json");
    return (JSON.parse(json) as { time: string; tree: string; tags?: string[]; original?: string }[])
      .map(({ time, tree, tags, original: of }) => [time, tree, tags ?? [], of !== undefined])
      .sort();
  }

  /** What is said of losses; both programs number and sort the rest in their own ways. */
  function losses({ stdout, stderr }: RunResult): string[] {
    return `${stdout}\n${stderr}`
      .split("\n")
      .filter((line) => /^ {2}(file|dir) |modified|would|pack file|^failed to load blob/.test(line))
      .filter((line) => !/^\[|^getting|^reading|^saving|^salvaging|^removing salvaged/.test(line))
      .map((line) => line.replace(/^(failed to load blob \w+|skipped incomplete pack file: \w+).*/, "$1"))
      .filter((line) => !line.startsWith("skipped"))
      .sort();
  }

  async function runBoth(damaged: string, ...args: string[]) {
    const run = async (program: Run) => {
      const location = await copyOfRepository(damaged);
      const cwd = await temporaryFolder();
      const result = await program(["-r", location, "--no-cache", ...args], { env, cwd });
      return { location, result, copies: (await readdir(cwd)).sort() };
    };
    const [theirs, ours] = [await run(runRestic), await run(runYore)];
    expect(ours.result.code, ours.result.stderr).toBe(theirs.result.code);
    expect(losses(ours.result)).toEqual(losses(theirs.result));
    expect(ours.copies).toEqual(theirs.copies);
    expect(await snapshotsOf(ours.location)).toEqual(await snapshotsOf(theirs.location));
    return { theirs: theirs.location, ours: ours.location };
  }

  it.each(Object.keys(DAMAGE))("mends %s as restic does", { timeout: 120_000 }, async (name) => {
    const damaged = await copyOfRepository(original);
    await DAMAGE[name]!(damaged);
    const { ours } = await runBoth(damaged, "repair", "index");
    await runBoth(damaged, "repair", "index", "--read-all-packs");
    await runBoth(ours, "repair", "snapshots", "--dry-run");
    await runBoth(ours, "repair", "snapshots");
    const mended = (await runBoth(ours, "repair", "snapshots", "--forget")).ours;
    await restic(mended, "check", "--read-data");
    await runBoth(mended, "repair", "snapshots", "--forget");
  });

  it.each(["repo-data-missing", "repo-index-missing", "repo-mixed", "small-repo"])(
    "mends %s of restic's own tests as restic does",
    { timeout: 120_000 },
    async (name) => {
      const damaged = join(await unpackFixture(name, await temporaryFolder()), "repo");
      const { ours } = await runBoth(damaged, "repair", "index");
      await runBoth(ours, "repair", "snapshots");
      const mended = (await runBoth(ours, "repair", "snapshots", "--forget")).ours;
      await restic(mended, "check", "--read-data");
    },
  );

  it.each([
    ["a flipped bit in a blob", (path: string) => flip(path, 1_000_000)],
    ["a flipped bit in the header", (path: string) => flip(path, -30)],
    ["half the pack", (path: string) => truncate(path, 1_500_000)],
  ])("takes a pack apart that has %s", { timeout: 60_000 }, async (_, damage) => {
    const damaged = await copyOfRepository(original);
    const [pack] = await packsOf(damaged);
    await damage(pack!);
    const { ours } = await runBoth(damaged, "repair", "packs", basename(pack!));
    const mended = (await runBoth(ours, "repair", "snapshots", "--forget")).ours;
    await restic(mended, "check", "--read-data");
  });

  it("saves what a pack has in front of a gap, also after its index was repaired", async () => {
    const damaged = await copyOfRepository(original);
    const [pack] = await packsOf(damaged);
    const bytes = await readFile(pack!);
    await writeFile(pack!, Buffer.concat([bytes.subarray(0, 2_000_000), bytes.subarray(2_000_100)]));
    const indexed = (await runBoth(damaged, "repair", "index")).ours;
    const { stderr } = await runYore(["-r", indexed, "check"], { env });
    expect(stderr).toContain(`yore repair packs ${basename(pack!)}`);
    const { ours } = await runBoth(indexed, "repair", "packs", basename(pack!));
    const mended = (await runBoth(ours, "repair", "snapshots", "--forget")).ours;
    await restic(mended, "check", "--read-data");
  });

  it("takes apart what no index file lists any more", async () => {
    const damaged = await copyOfRepository(original);
    for (const path of await filesBelow(damaged, "index")) await rm(path);
    const packs = await packsOf(damaged);
    const cwd = await temporaryFolder();
    const ids = packs.map((path) => basename(path));
    const { code } = await runYore(["-r", damaged, "repair", "packs", ...ids], { env, cwd });
    expect(code).toBe(0);
    await restic(damaged, "check", "--read-data");
    expect(await snapshotsOf(damaged)).toEqual(await snapshotsOf(original));
  });

  it("saves what the index looks for at the wrong place of a pack, and the pack itself at the right one", async () => {
    const damaged = await copyOfRepository(original);
    const repository = await openRepository(await LocalBackend.open(damaged));
    const old = repository.indexIds;
    const packs = [...repository.index.packs()];
    const moved = packs.find(({ blobs }) => blobs.some(({ type }) => type === "data"))!;
    const wrong = moved.blobs.map((blob) => ({ ...blob, offset: blob.offset + 1 }));
    await repository.saveFile(
      "index",
      encodeIndexFile(packs.map((pack) => (pack === moved ? { ...pack, blobs: wrong } : pack))),
    );
    await repository.close();
    for (const id of old) await rm(join(damaged, "index", formatId(id)));
    const cwd = await temporaryFolder();
    const args = ["-r", damaged, "--no-cache", "repair", "packs", formatId(moved.packId), "--json"];
    const { code, stdout } = await runYore(args, { env, cwd });
    expect(code).toBe(0);
    expect(stdout).toContain(`"salvaged_blobs":${moved.blobs.length},"lost_blobs":0`);
    await restic(damaged, "check", "--read-data");
    expect(await snapshotsOf(damaged)).toEqual(await snapshotsOf(original));
  });

  it("repair packs writes over no copy, and changes nothing then", async () => {
    const damaged = await copyOfRepository(original);
    const [pack] = await packsOf(damaged);
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, `pack-${basename(pack!)}`), "mine");
    const args = ["-r", damaged, "repair", "packs", basename(pack!)];
    expect((await runYore(args, { env, cwd })).code).toBe(1);
    expect(await readFile(join(cwd, `pack-${basename(pack!)}`), "utf8")).toBe("mine");
    expect(await packsOf(damaged)).toContain(pack);
  });

  it("prints nothing but JSON with --json", async () => {
    const damaged = await copyOfRepository(original);
    await rm((await packsOf(damaged))[0]!);
    for (const command of ["index", "snapshots"]) {
      const { stdout, stderr } = await runYore(["-r", damaged, "repair", command, "--json"], { env });
      for (const line of `${stdout}${stderr}`.trim().split("\n")) JSON.parse(line);
      expect(stdout).toContain('"message_type":"summary"');
    }
  });

  describe("killed at any moment", () => {
    async function expectMended(location: string): Promise<void> {
      for (const lock of await filesBelow(location, "locks")) await rm(lock);
      await restic(location, "check", "--read-data");
    }

    it("repair index comes to the same end when it runs again", { timeout: 120_000 }, async () => {
      const damaged = await copyOfRepository(original);
      await DAMAGE["a missing index file"]!(damaged);
      const work = async (repository: Awaited<ReturnType<typeof openRepository>>) => repairIndex(repository);
      await dieEverywhere(damaged, work, async (location) => {
        await work(await openRepository(await LocalBackend.open(location)));
        await expectMended(location);
      });
    });

    it("repair packs and repair snapshots lose nothing more", { timeout: 240_000 }, async () => {
      const damaged = await copyOfRepository(original);
      const [pack] = await packsOf(damaged);
      await flip(pack!, 1_000_000);
      const packId = parseId(basename(pack!))!;
      const lost = new Set<string>();
      const work = async (repository: Awaited<ReturnType<typeof openRepository>>) => {
        requireWholeIndex(repository);
        await repairPacks(repository, [packId], {
          on: (event) => {
            if (event.type === "lost") lost.add(formatId(event.blob.id));
          },
        });
        const snapshots = await listSnapshots(repository);
        await repairSnapshots(repository, snapshots, { dryRun: false, forget: true });
      };
      await dieEverywhere(damaged, work, async (location) => {
        await work(await openRepository(await LocalBackend.open(location)));
        await expectMended(location);
        expect(await listSnapshots(await openRepository(await LocalBackend.open(location)))).toHaveLength(3);
      });
      expect(lost.size).toBe(1);
    });
  });
});
