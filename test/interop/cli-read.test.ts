import { execFileSync } from "node:child_process";
import { chmod, cp, link, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onBoth } from "../support/interop.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { temporaryFolder, unpackFixture } from "../support/temporary.js";

/** Both programs, the same arguments, the same repository (made by restic): the same output. */

const ENV = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin" };

let folder: string;
let env: Record<string, string>;

function both(args: readonly string[]) {
  return onBoth([...args, "--no-cache"], { env, cwd: folder });
}

async function backup(args: readonly string[], input?: string): Promise<void> {
  const options = input === undefined ? {} : { input };
  const result = await runRestic(["backup", "--quiet", "--no-cache", ...args], {
    env,
    cwd: folder,
    ...options,
  });
  if (result.code !== 0) throw new Error(result.stderr);
}

function sortedLines(result: RunResult): string[] {
  return `${result.stderr}${result.stdout}`.split("\n").sort();
}

/** Files of every kind, with names that a terminal or a parser could stumble over. */
async function makeFiles(root: string): Promise<void> {
  await mkdir(join(root, "src dir/日本"), { recursive: true });
  await mkdir(join(root, "d/empty"), { recursive: true });
  await writeFile(join(root, "src dir/日本/f.tar.gz"), "hi\n");
  await writeFile(join(root, "d/big.bin"), Buffer.alloc(3_000_000, "0123456789"));
  await writeFile(join(root, "d/.hidden"), "");
  await writeFile(join(root, "d/<a&b>\u2028.txt"), "x");
  await writeFile(Buffer.concat([Buffer.from(join(root, "d/c")), Buffer.of(0xff), Buffer.from("bad")]), "y");
  for (const name of ["a\x1b[31mred", "b\nnew", 'e"quote', "f\\back", "h\ttab"])
    await writeFile(join(root, "d", name), name);
  await symlink("big.bin", join(root, "d/link"));
  await link(join(root, "d/big.bin"), join(root, "d/hard"));
  execFileSync("mkfifo", [join(root, "d/fifo")]);
  await chmod(join(root, "d/hard"), 0o4755);
}

describe.skipIf(missingPeer("restic"))("yore and restic", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { ...ENV, RESTIC_REPOSITORY: join(folder, "repository") };
    await makeFiles(join(folder, "files"));
    await runRestic(["init", "--quiet"], { env });
    await makeKeyCheap(join(folder, "repository"), "geheim");
    await backup(["files/src dir", "--tag", "a,b", "--host", "h1", "--time", "2024-01-02 03:04:05"]);
    await backup([
      "files/src dir",
      "files/d",
      "--tag",
      "c",
      "--host",
      "日本",
      "--time",
      "2024-07-02 03:04:05",
    ]);
    await backup(["files/d", "--host", "h1", "--time", "2024-08-02 03:04:05"]);
    await backup(["files/d", "--host", "h1", "--time", "2024-08-04 03:04:05"]);
    await backup(["--stdin", "--stdin-filename", "x/y", "--host", "h2", "--tag", "<&>"], "foo");
    await backup([
      "files/d",
      "files/src dir",
      "--host",
      "h3",
      "--tag",
      "long,longer,longest",
      "--exclude",
      "*.xyz",
    ]);
  }, 120_000);

  it.each([
    [["snapshots"]],
    [["snapshots", "--compact"]],
    [["snapshots", "--latest", "1"]],
    [["snapshots", "--latest", "2", "--host", "h1"]],
    [["snapshots", "--json"]],
    [["snapshots", "--json", "--compact", "-q"]],
    [["snapshots", "--tag", "a,b"]],
    [["snapshots", "--tag", "a,c", "--tag", "c"]],
    [["snapshots", "--tag", ""]],
    [["snapshots", "--host", "nobody"]],
    [["snapshots", "--host", "nobody", "--json"]],
    [["snapshots", "--host", "nobody", "--group-by", "host"]],
    [["snapshots", "latest"]],
    [["snapshots", "nope"]],
    [["snapshots", "latest:sub"]],
    [["snapshots", "nope", "--json"]],
    [["snapshots", "--json=false", "-c"]],
    [["snapshots", "--group-by", "", "-q"]],
    [["ls", "latest"]],
    [["ls", "latest", "-l"]],
    [["ls", "latest", "-l", "--human-readable"]],
    [["ls", "latest", "--json"]],
    [["ls", "latest", "--ncdu"]],
    [["ls", "latest", "-q"]],
    [["ls", "latest", "/files"]],
    [["ls", "latest", "/files/d/", "/files/src dir"]],
    [["ls", "latest", "--recursive", "/files/src dir"]],
    [["ls", "latest", "--json", "/files/d"]],
    [["ls", "latest", "--ncdu", "/files/d"]],
    [["ls", "latest", "/nope"]],
    [["ls", "latest:files/d", "-l"]],
    [["ls", "latest:/files/src dir", "/日本"]],
    [["ls", "--host", "h1", "latest"]],
    [["ls", "latest", "-s", "size", "-l"]],
    [["ls", "latest", "-s", "time", "--reverse"]],
    [["ls", "latest", "-s", "extension"]],
    [["ls", "latest", "--reverse"]],
    [["ls", "latest", "-s", "ctime", "--json"]],
    [["cat", "config"]],
    [["cat", "masterkey"]],
    [["cat", "--json", "config"]],
    [["list", "keys"]],
  ])("print the same for %j", async (args) => {
    const { yore, restic } = await both(args);
    // Names in it are bytes: the comparison of the texts only shows where they differ.
    if (!yore.stdoutBytes.equals(restic.stdoutBytes)) expect(yore.stderr + yore.stdout).toBe(restic.stdout);
    expect(yore.code).toBe(restic.code);
  });

  // restic's groups come in no order.
  it.each([["host"], ["paths"], ["tags"], ["host,paths,tags"]])("group snapshots by %s", async (by) => {
    const json = await both(["snapshots", "--json", "--group-by", by]);
    const groups = (result: RunResult) =>
      (JSON.parse(result.stdout) as unknown[]).map((group) => JSON.stringify(group)).sort();
    expect(groups(json.yore)).toEqual(groups(json.restic));

    const text = await both(["snapshots", "--group-by", by, "--latest", "1"]);
    expect(sortedLines(text.yore)).toEqual(sortedLines(text.restic));
  });

  it.each([["blobs"], ["packs"], ["index"], ["snapshots"]])("list the same %s", async (type) => {
    const { yore, restic } = await both(["list", type]);
    expect(sortedLines(yore)).toEqual(sortedLines(restic));
  });

  it("show the same objects", async () => {
    const ids = async (type: string) => (await runYore(["list", type], { env })).stdout.trim().split("\n");
    const [snapshots, indexes, packs, keys, blobs] = await Promise.all(
      ["snapshots", "index", "packs", "keys", "blobs"].map(ids),
    );
    const objects = [
      ["snapshot", snapshots![0]!],
      ["snapshot", snapshots![1]!.slice(0, 10)],
      ["tree", snapshots![0]!.slice(0, 10)],
      ["tree", `${snapshots![0]}:nope`],
      ["index", indexes![0]!],
      ["pack", packs![0]!],
      ["key", keys![0]!],
      ["blob", blobs!.find((line) => line.startsWith("tree"))!.slice(5)],
      ["blob", blobs!.find((line) => line.startsWith("data"))!.slice(5)],
      ["blob", "0".repeat(64)],
      ["pack", "0".repeat(64)],
      ["key", keys![0]!.slice(0, 8)],
    ];
    for (const object of objects) {
      const { yore, restic } = await both(["cat", ...object]);
      expect(`${object} ${yore.code}`).toBe(`${object} ${restic.code}`);
      expect(yore.stdoutBytes.equals(restic.stdoutBytes), object.join(" ")).toBe(true);
    }
  }, 120_000);

  it("read the repository of an old restic alike", async () => {
    await unpackFixture("repo-mixed", folder);
    const at = ["--repo", join(folder, "repo"), "--no-lock"];
    for (const args of [
      ["snapshots"],
      ["snapshots", "--json"],
      ["ls", "latest", "--json"],
      ["ls", "latest", "-l"],
    ]) {
      const { yore, restic } = await both([...args, ...at]);
      expect(yore.stdout).toBe(restic.stdout);
      expect(yore.code).toBe(0);
    }
  });

  it("read a version 1 repository alike", async () => {
    const at = ["--repo", join(folder, "version-1")];
    await runRestic(["init", "-q", "--repository-version", "1", ...at], { env });
    await backup(["files/src dir", ...at]);
    for (const args of [["snapshots"], ["ls", "latest", "--json"], ["cat", "config"]]) {
      const { yore, restic } = await both([...args, ...at]);
      expect(yore.stdout).toBe(restic.stdout);
    }
  });

  it("remove the same locks", async () => {
    const repository = join(folder, "repository");
    const copy = join(folder, "locked");
    await cp(repository, copy, { recursive: true });
    const stale = {
      time: "2020-01-01T00:00:00Z",
      exclusive: false,
      hostname: "elsewhere",
      username: "u",
      pid: 1,
    };
    const { openRepository } = await import("../../src/mod.js");
    const session = await openRepository(copy, { password: "geheim", lock: "none" });
    const writeLock = () => session.repository.saveFile("lock", Buffer.from(JSON.stringify(stale)));
    try {
      await writeLock();
      expect(await runYore(["-r", copy, "unlock"], { env })).toMatchObject({
        code: 0,
        stdout: "successfully removed 1 locks\n",
      });
      const fresh = { ...stale, time: new Date().toISOString() };
      await session.repository.saveFile("lock", Buffer.from(JSON.stringify(fresh)));
      expect(await runYore(["-r", copy, "unlock"], { env })).toMatchObject({ code: 0, stdout: "" });
      expect((await runRestic(["-r", copy, "list", "locks", "--no-lock"], { env })).stdout).toMatch(
        /^[0-9a-f]{64}\n$/,
      );
      expect(await runYore(["-r", copy, "unlock", "--remove-all"], { env })).toMatchObject({
        code: 0,
        stdout: "successfully removed 1 locks\n",
      });
    } finally {
      await session.close();
    }
  });
});
