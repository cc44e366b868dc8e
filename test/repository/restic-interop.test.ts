import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatId } from "../../src/bytes/id.js";
import { Repository } from "../../src/repository/repository.js";
import { findSnapshot, listSnapshots, resolveSubfolder } from "../../src/repository/snapshots.js";
import { walkTree } from "../../src/repository/walk-tree.js";
import { resticWith } from "../support/interop.js";
import { missingPeer, peer as peerPath, runRestic } from "../support/run.js";
import { copyOfRepository, temporaryFolder, unpackFixture } from "../support/temporary.js";
import { collect, openRepository, PASSWORD, saveSmallBackup, testEngine } from "./support.js";

const MIB = 1024 * 1024;
const PEERS = (["restic", "restic-debian"] as const).filter((peer) => !missingPeer(peer));

function restic(peer: (typeof PEERS)[number], folder: string, ...args: string[]): Promise<string> {
  return resticWith({ RESTIC_PASSWORD: PASSWORD }, peer)(folder, ...args);
}

/** Loads every blob that the index knows, by pack. @returns what could not be loaded */
async function loadEverything(repository: Repository): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  for (const { packId, blobs } of [...repository.index.packs()])
    await repository.loadPackBlobs(packId, blobs, ({ id }, result) => {
      if ("error" in result) failures.set(formatId(id), result.error.message);
    });
  return failures;
}

describe.each([1, 2] as const)("A repository that yore made, version %i", (version) => {
  let folder: string;

  beforeAll(async () => {
    folder = join(await temporaryFolder(), "repository");
    const backend = await LocalBackend.open(folder);
    const engine = await testEngine();
    const options = { password: PASSWORD, version, packSizeBytes: 4 * MIB };
    const repository = await Repository.create(backend, engine, options);
    const sizes = [1, 100, 65_536, 3 * MIB, 5 * MIB, ...Array.from({ length: 500 }, (_, i) => 1 + i * 31)];
    await saveSmallBackup(repository, sizes);
    await saveSmallBackup(repository, [10, 20]);
  });

  it.each(PEERS)("passes check --read-data of %s", async (peer) => {
    expect(await restic(peer, folder, "check", "--read-data")).toContain("no errors were found");
  });

  it.each(PEERS)("is listed and dumped by %s", async (peer) => {
    expect(JSON.parse(await restic(peer, folder, "snapshots", "--json"))).toHaveLength(2);
    const names = (await restic(peer, folder, "ls", "latest")).split("\n");
    expect(names).toContain("/a/file-000001");
    expect(await restic(peer, folder, "dump", "latest", "/a/file-000001")).toContain("text 1");
  });

  it.each(PEERS)("goes on being whole when %s prunes it, and yore sees the new index", async (peer) => {
    const copy = await copyOfRepository(folder);
    const repository = await openRepository(await LocalBackend.open(copy));
    const before = repository.index.size;
    const [first] = await listSnapshots(repository);
    await restic(peer, copy, "forget", "--prune", "--max-unused", "0", formatId(first!.id));
    await repository.loadIndex();
    expect(repository.index.size).toBeLessThan(before);
    expect(await loadEverything(repository)).toEqual(new Map());
    await restic(peer, copy, "check", "--read-data");
  });
});

describe.each(PEERS.flatMap((peer) => [[peer, 1] as const, [peer, 2] as const]))(
  "A repository that %s made, version %i",
  (peer, version) => {
    let folder: string;
    let source: string;

    beforeAll(async () => {
      const parent = await temporaryFolder();
      folder = join(parent, "repository");
      source = join(parent, "source");
      await mkdir(join(source, "deep/er"), { recursive: true });
      await writeFile(join(source, "big"), Buffer.alloc(9 * MIB, "0123456789abcdef ghij"));
      await writeFile(join(source, "empty"), "");
      for (let i = 0; i < 200; i++)
        await writeFile(join(source, "deep/er", `f${i}`), `content ${i}`.repeat(i));
      await restic(peer, folder, "init", "--repository-version", String(version));
      await restic(peer, folder, "backup", "--tag", "one", source);
      await writeFile(join(source, "later"), "x");
      await restic(peer, folder, "backup", "--tag", "two", source);
    });

    it("opens, and every blob can be loaded", async () => {
      const repository = await openRepository(await LocalBackend.open(folder));
      expect(repository.config.version).toBe(version);
      expect(repository.indexProblems).toEqual([]);
      expect(await loadEverything(repository)).toEqual(new Map());
      const listed = (await restic(peer, folder, "list", "blobs")).trim().split("\n");
      expect(repository.index.size).toBe(listed.length);
    });

    it("walks like restic's own listing", async () => {
      const repository = await openRepository(await LocalBackend.open(folder));
      const { snapshot } = await findSnapshot(repository, "latest");
      const walked = (await collect(walkTree(repository, snapshot.tree))).map(({ path }) => `/${path}`);
      const listed = (await restic(peer, folder, "ls", "latest")).trim().split("\n");
      expect(walked).toEqual(listed.filter((line) => line.startsWith("/")));
      const subtree = await resolveSubfolder(repository, snapshot.tree, join(source, "deep"));
      expect((await collect(walkTree(repository, subtree))).length).toBe(201);
    });

    it("can be written by yore, and passes its maker's check", async () => {
      const repository = await openRepository(await LocalBackend.open(folder));
      await saveSmallBackup(repository, [1000, 2 * MIB, 7]);
      expect(await restic(peer, folder, "check", "--read-data")).toContain("no errors were found");
      expect(JSON.parse(await restic(peer, folder, "snapshots", "--json"))).toHaveLength(3);
    });

    it("sees our locks, and we see its", async () => {
      const repository = await openRepository(await LocalBackend.open(folder));
      const lock = await repository.lock({ exclusive: true });
      const refused = await runRestic(["-r", folder, "--no-cache", "snapshots"], {
        env: { RESTIC_PASSWORD: PASSWORD },
        peer,
      });
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toContain(`locked exclusively by PID ${process.pid}`);
      await lock.release();
      await restic(peer, folder, "snapshots");
      expect(await repository.listLocks()).toEqual([]);
    });
  },
);

describe.skipIf(missingPeer("restic"))("A lock of restic", () => {
  it("keeps us from an exclusive lock while it reads from a pipe, and no longer", async () => {
    const folder = join(await temporaryFolder(), "repository");
    await restic("restic", folder, "init");
    const repository = await openRepository(await LocalBackend.open(folder));
    const backup = spawn(peerPath("restic")!, ["-r", folder, "--no-cache", "backup", "--stdin"], {
      env: { ...process.env, RESTIC_PASSWORD: PASSWORD },
      stdio: ["pipe", "ignore", "inherit"],
    });
    try {
      await expect.poll(async () => (await repository.listLocks()).length, { timeout: 20_000 }).toBe(1);
      await expect(repository.lock({ exclusive: true })).rejects.toMatchObject({
        code: "locked",
        message: expect.stringContaining(`PID ${backup.pid}`),
        stale: false,
      });
      const shared = await repository.lock({ exclusive: false });
      await shared.release();
    } finally {
      backup.stdin.end("content");
      await new Promise((resolve) => backup.once("close", resolve));
    }
    const lock = await repository.lock({ exclusive: true });
    await lock.release();
  });

  it("whose process was killed is stale, and unlock removes it", async () => {
    const folder = join(await temporaryFolder(), "repository");
    await restic("restic", folder, "init");
    const repository = await openRepository(await LocalBackend.open(folder));
    const backup = spawn(peerPath("restic")!, ["-r", folder, "--no-cache", "backup", "--stdin"], {
      env: { ...process.env, RESTIC_PASSWORD: PASSWORD },
      stdio: ["pipe", "ignore", "inherit"],
    });
    await expect.poll(async () => (await repository.listLocks()).length, { timeout: 20_000 }).toBe(1);
    backup.kill("SIGKILL");
    await new Promise((resolve) => backup.once("close", resolve));
    await expect(repository.lock({ exclusive: true })).rejects.toMatchObject({
      code: "locked",
      stale: true,
      hint: expect.stringContaining("yore unlock"),
    });
    expect(await repository.unlock()).toBe(1);
    await (await repository.lock({ exclusive: true })).release();
  });
});

describe("Fixture", () => {
  async function openFixture(name: string): Promise<Repository> {
    const folder = join(await unpackFixture(name, await temporaryFolder()), "repo");
    return openRepository(await LocalBackend.open(folder));
  }

  it.each([
    ["small-repo", 4],
    ["repo-mixed", 1],
    ["repo-obsolete-index", 1],
  ])("%s is whole, as restic says", async (name, snapshots) => {
    const repository = await openFixture(name);
    expect(await listSnapshots(repository)).toHaveLength(snapshots);
    expect(repository.indexProblems).toEqual([]);
    expect(await loadEverything(repository)).toEqual(new Map());
    for (const { tree } of await listSnapshots(repository)) await collect(walkTree(repository, tree));
    for await (const { id, size } of repository.listFiles("pack"))
      expect((await repository.readPackHeader(id, size)).length).toBeGreaterThan(0);
  });

  it("repo-data-missing says which pack is missing", async () => {
    const repository = await openFixture("repo-data-missing");
    const failures = await loadEverything(repository);
    expect(failures.size).toBeGreaterThan(0);
    for (const message of failures.values())
      expect(message).toMatch(/pack [0-9a-f]{8} .*the pack is missing/);
  });

  it("repo-index-missing says which blobs no index knows", async () => {
    const repository = await openFixture("repo-index-missing");
    const errors: string[] = [];
    for (const { tree } of await listSnapshots(repository)) {
      const onError = (_: Buffer, error: Error) => errors.push(error.message);
      await collect(walkTree(repository, tree, { onError }));
    }
    expect(errors.join()).toMatch(/no index knows it/);
  });
});

describe("A program that is killed while it saves", () => {
  it("leaves a repository that restic finds whole", async () => {
    const folder = join(await temporaryFolder(), "repository");
    const engine = await testEngine();
    const backend = await LocalBackend.open(folder);
    const repository = await Repository.create(backend, engine, { password: PASSWORD });
    await saveSmallBackup(repository, [1000, 2000]);
    const dist = join(import.meta.dirname, "../../dist");
    const script = `
      import { randomBytes } from "node:crypto";
      import { LocalBackend } from ${JSON.stringify(join(dist, "backend/local-backend.js"))};
      import { loadEngine } from ${JSON.stringify(join(dist, "engine/load-engine.js"))};
      import { Repository } from ${JSON.stringify(join(dist, "repository/repository.js"))};
      const backend = await LocalBackend.open(${JSON.stringify(folder)});
      const options = { password: ${JSON.stringify(PASSWORD)}, packSizeBytes: 4 * 1024 * 1024 };
      const repository = await Repository.open(backend, await loadEngine(), options);
      await repository.loadIndex();
      for (let i = 0; ; i++) {
        await repository.saveBlob("data", randomBytes(1_000_000));
        if (i % 16 === 15) await repository.flush();
        console.log(i);
      }`;
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise<void>((resolve) => {
        let text = "";
        child.stdout.on("data", (piece: Buffer) => {
          text += piece;
          if (text.includes(`\n${20 + 7 * round}\n`)) resolve();
        });
        child.once("exit", () => resolve());
      });
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("close", resolve));
    }
    const after = await openRepository(await LocalBackend.open(folder));
    expect(after.index.size).toBeGreaterThan(3 * 16);
    expect(await loadEverything(after)).toEqual(new Map());
    for (const peer of PEERS) await restic(peer, folder, "check", "--read-data");
  });
});
