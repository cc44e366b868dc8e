/** Whatever is wrong with a repository, yore finds what restic finds. */

import { chmod, copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeTree } from "../restorer/make-tree.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { copyOfRepository, temporaryFolder, unpackFixture } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };

interface Summary {
  readonly num_errors: number;
  readonly broken_packs: string[] | null;
}

async function checkBoth(location: string, flags: readonly string[]) {
  const args = ["-r", location, "--no-cache", "check", ...flags];
  const read = async (run: typeof runYore) => {
    const { code, stdout, stderr } = await run([...args, "--json"], { env });
    const summary = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Summary;
    summary.broken_packs?.sort();
    return { code, summary, stderr };
  };
  // One after the other: both want the exclusive lock.
  return { restic: await read(runRestic), yore: await read(runYore) };
}

/** Expects the same exit code and the same summary. */
async function expectSame(location: string, flags: readonly string[] = []) {
  const { restic, yore } = await checkBoth(location, flags);
  const { stderr: _, ...theirs } = restic;
  const { stderr, ...ours } = yore;
  expect(ours).toEqual(theirs);
  return { ...ours, stderr };
}

describe.skipIf(missingPeer("restic"))("yore check", () => {
  let original: string;
  let location: string;

  beforeAll(async () => {
    const folder = await temporaryFolder();
    const tree = join(folder, "tree");
    await makeTree(tree);
    original = join(folder, "repository");
    for (const args of [["init"], ["backup", tree], ["backup", join(tree, "sub")]])
      await runRestic(["-r", original, "--no-cache", "-q", ...args], { env });
  });

  /** A copy of the repository that may be spoiled. */
  async function copyOriginal(): Promise<string> {
    location = await copyOfRepository(original);
    return location;
  }

  async function filesOf(folder: string): Promise<string[]> {
    const entries = await readdir(join(location, folder), { withFileTypes: true, recursive: true });
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths) await chmod(path, 0o600);
    return paths;
  }

  /** Packs, the largest first: the first ones have data, the last one has trees. */
  async function packs(): Promise<string[]> {
    const sized = await Promise.all(
      (await filesOf("data")).map(async (path) => ({ path, size: (await readFile(path)).length })),
    );
    return sized.sort((a, b) => b.size - a.size).map(({ path }) => path);
  }

  async function flip(path: string, offset: number): Promise<void> {
    const bytes = await readFile(path);
    bytes[offset < 0 ? bytes.length + offset : offset]! ^= 1;
    await writeFile(path, bytes);
  }

  it("finds nothing wrong with what restic wrote, with any flag", async () => {
    for (const flags of [
      [],
      ["--read-data"],
      ["--read-data-subset", "1/1"],
      ["--read-data-subset", "50%"],
      ["--read-data-subset", "1M"],
      ["--read-data", "latest"],
      ["--read-data", "--path", "/nowhere"],
    ]) {
      const { code, summary } = await expectSame(original, flags);
      expect(code, flags.join(" ")).toBe(0);
      expect(summary.num_errors).toBe(0);
    }
  });

  it.each(["small-repo", "repo-mixed", "repo-obsolete-index", "repo-index-missing", "repo-data-missing"])(
    "says of %s what restic says",
    async (name) => {
      const unpacked = join(await unpackFixture(name, await temporaryFolder()), "repo");
      await expectSame(unpacked);
      await expectSame(unpacked, ["--read-data"]);
    },
  );

  it.each([
    ["in a blob", 500],
    ["in the header", -20],
    ["in the length of the header", -1],
  ])("finds a flipped bit %s of a data pack", async (_, offset) => {
    await copyOriginal();
    const [pack] = await packs();
    await flip(pack!, offset);
    expect((await expectSame(location)).code).toBe(0);
    const { code, summary, stderr } = await expectSame(location, ["--read-data"]);
    expect(code).toBe(1);
    expect(summary.broken_packs).toEqual([basename(pack!)]);
    expect(stderr).toContain("yore repair packs");
    if (offset > 0) expect(stderr).toMatch(/data blob [0-9a-f]{64}: /);
  });

  it("finds a flipped bit in a pack of trees without reading data", async () => {
    await copyOriginal();
    for (const pack of (await packs()).slice(1)) await flip(pack, 40);
    expect((await expectSame(location)).code).toBe(1);
    await expectSame(location, ["--read-data"]);
  });

  it("finds a pack that was cut", async () => {
    await copyOriginal();
    const [pack] = await packs();
    await truncate(pack!, 1000);
    const { summary } = await expectSame(location);
    expect(summary.broken_packs).toEqual([basename(pack!)]);
    await expectSame(location, ["--read-data"]);
  });

  it("finds a pack that has grown", async () => {
    await copyOriginal();
    const [pack] = await packs();
    await writeFile(pack!, Buffer.alloc(10), { flag: "a" });
    await expectSame(location);
  });

  it("finds a pack that is missing", async () => {
    await copyOriginal();
    await rm((await packs())[0]!);
    await expectSame(location);
    await expectSame(location, ["--read-data"]);
  });

  it("finds missing packs of trees", async () => {
    await copyOriginal();
    for (const pack of (await packs()).slice(1)) await rm(pack);
    await expectSame(location);
  });

  it("finds files that no index knows, which is no error", async () => {
    await copyOriginal();
    const [pack] = await packs();
    const name = "f".repeat(64);
    await mkdir(join(location, "data/ff"), { recursive: true });
    await copyFile(pack!, join(location, "data/ff", name));
    expect((await expectSame(location)).code).toBe(0);
  });

  it("stops at a damaged index file and says what to do", async () => {
    await copyOriginal();
    await flip((await filesOf("index"))[0]!, 60);
    const { stderr } = await expectSame(location);
    expect(stderr).toContain("repair index");
  });

  it("finds that index files are missing", async () => {
    await copyOriginal();
    for (const path of await filesOf("index")) await rm(path);
    await expectSame(location);
  });

  it("finds a damaged snapshot file", async () => {
    await copyOriginal();
    await flip((await filesOf("snapshots"))[0]!, 60);
    await expectSame(location);
    await truncate((await filesOf("snapshots"))[1]!, 0);
    await expectSame(location);
  });

  it("finds a damaged key file and says what to do", async () => {
    await copyOriginal();
    const [good] = await filesOf("keys");
    const password = join(await temporaryFolder(), "password");
    await writeFile(password, "zweites");
    await runRestic(["-r", location, "--no-cache", "key", "add", "--new-password-file", password], { env });
    const damaged = (await filesOf("keys")).find((path) => path !== good)!;
    await flip(damaged, (await readFile(damaged)).indexOf('"data":"') + 20);
    const json = await runYore(["-r", location, "check", "--json"], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({ num_errors: 1, broken_packs: null });
    const { code, stderr } = await runYore(["-r", location, "check"], { env });
    expect(code).toBe(1);
    expect(stderr).toContain(`error: key ${basename(damaged)} cannot be read: `);
    expect(stderr).toContain("`yore key add`");
    expect(stderr).not.toContain("repair");
    const id = /`yore key remove`: (\w+)/.exec(stderr)![1]!;
    for (const args of [["key", "add", "--new-password-file", password], ["key", "remove", id], ["check"]])
      expect(await runYore(["-r", location, ...args], { env })).toMatchObject({ code: 0, stderr: "" });
  });

  it("never fails in another way than by saying what is wrong", async () => {
    for (const folder of ["index", "snapshots", "data"]) {
      for (const length of [0, 1, 31, 33, 100]) {
        await copyOriginal();
        const [path] = folder === "data" ? await packs() : await filesOf(folder);
        await truncate(path!, length);
        const { code, stderr } = await runYore(["-r", location, "check", "--read-data"], { env });
        expect(code).toBe(1);
        expect(stderr).not.toContain("defect of yore");
      }
    }
  });

  it("with --check-unused names the blobs that no snapshot needs", async () => {
    await copyOriginal();
    for (const path of (await filesOf("snapshots")).slice(1)) await rm(path);
    const { code, stdout } = await runYore(["-r", location, "check", "--check-unused"], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/unused blob <tree\/[0-9a-f]{8}>/);
  });

  it("refuses when somebody works in the repository, and leaves no lock behind", async () => {
    await copyOriginal();
    await expectSame(location);
    expect(await filesOf("locks")).toEqual([]);
  });

  it.each(["0/1", "2/1", "1/257", "0%", "101%", "x%", "1/2/3", "-5", "0", "ten"])(
    "refuses --read-data-subset %s with restic's exit code",
    async (subset) => {
      const args = ["-r", original, "--no-cache", "check", `--read-data-subset=${subset}`];
      const [restic, yore] = [await runRestic(args, { env }), await runYore(args, { env })];
      expect(yore.code).toBe(restic.code);
      expect(yore.stderr.split("\n")[0]).toBe(restic.stderr.split("\n")[0]);
    },
  );
});
