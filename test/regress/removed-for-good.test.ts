import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask } from "../server/ask.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { canMakeLossyDisk, LossyDisk, writeDown } from "../support/lossy-disk.js";
import { startYoreServer } from "../support/rest-servers.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const DAY_MS = 86_400_000;

describe.skipIf(!canMakeLossyDisk())("after a loss of power", () => {
  let disk: LossyDisk;

  beforeEach(async () => {
    disk = await LossyDisk.make();
  });

  afterEach(() => disk.remove());

  async function yore(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runYore([...args, "--no-cache"], {
      env: { YORE_PASSWORD: "password" },
    });
    expect(code, stderr).toBe(0);
    return stdout;
  }

  async function repositoryWithBackups(): Promise<string> {
    const repository = join(disk.folder, "repository");
    await yore("init", "-r", repository);
    await makeKeyCheap(repository, "password");
    const source = await temporaryFolder();
    for (const name of ["stays", "goes"]) writeFileSync(join(source, name), randomBytes(100_000));
    await yore("backup", "-r", repository, source);
    writeFileSync(join(source, "goes"), randomBytes(100_000));
    await yore("backup", "-r", repository, source);
    disk.settle();
    return repository;
  }

  /** The kernel is free to do so at any time. */
  function writeDownPacks(repository: string): void {
    for (const shard of readdirSync(join(repository, "data"))) writeDown(join(repository, "data", shard));
  }

  it("no snapshot and no index file is back whose packs are gone", async () => {
    const repository = await repositoryWithBackups();
    await yore("forget", "-r", repository, "--keep-last", "1", "--prune", "--max-unused", "0");
    writeDownPacks(repository);
    const found = join(await disk.afterLoss(), "repository");
    expect(readdirSync(join(found, "snapshots"))).toHaveLength(1);
    const check = await yore("check", "-r", found, "--read-data", "--no-lock");
    expect(check).toContain("no errors were found");
    expect(check).not.toContain("several indexes");
  });

  it("no snapshot is back that was forgotten", async () => {
    const repository = await repositoryWithBackups();
    await yore("forget", "-r", repository, "--keep-last", "1");
    const found = join(await disk.afterLoss(), "repository");
    expect(readdirSync(join(found, "snapshots"))).toHaveLength(1);
  });

  it("no key is back that was removed", async () => {
    const repository = await repositoryWithBackups();
    const file = join(await temporaryFolder(), "password");
    writeFileSync(file, "another");
    const [before] = readdirSync(join(repository, "keys"));
    await yore("key", "passwd", "-r", repository, "--new-password-file", file);
    const found = readdirSync(join(await disk.afterLoss(), "repository/keys"));
    expect(found).toHaveLength(1);
    expect(found).not.toContain(before);
  });

  describe("of a machine on which yore serve runs", () => {
    const contents = { keys: "a key", snapshots: "a snapshot", index: "an index", data: "a pack" };
    let server: Awaited<ReturnType<typeof startYoreServer>>;
    let repository: string;

    async function start(keepDeletedMs: number): Promise<void> {
      repository = join(disk.folder, "laptop");
      server = await startYoreServer(disk.folder, { keepDeletedMs });
      await request("POST", "/?create=true");
      disk.lonelyFolder("between");
      for (const [type, content] of Object.entries(contents))
        await request("POST", `/${type}/${sha256(Buffer.from(content))}`, content);
      disk.settle();
    }

    afterEach(() => server.stop());

    async function request(method: string, path: string, body?: string): Promise<void> {
      const { status } = await ask(server.url, method, `/laptop${path}`, body === undefined ? {} : { body });
      expect(status).toBe(200);
    }

    async function removeAll(): Promise<void> {
      for (const [type, content] of Object.entries(contents))
        await request("DELETE", `/${type}/${sha256(Buffer.from(content))}`);
    }

    const foundIn = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /[0-9a-f]{64}/.test(name));

    it("nothing is back that refers to what is gone", async () => {
      await start(0);
      await removeAll();
      writeDownPacks(repository);
      expect(foundIn(join(await disk.afterLoss(), "laptop"))).toEqual([]);
    });

    it("what is kept of deleted files is still there", async () => {
      await start(DAY_MS);
      await removeAll();
      await request("POST", `/snapshots/${sha256(Buffer.from("next"))}`, "next");
      writeDownPacks(repository);
      const kept = foundIn(join(await disk.afterLoss(), "laptop/.yore-deleted"));
      expect(kept).toHaveLength(Object.keys(contents).length);
    });

    it("what was brought back is there", async () => {
      await start(DAY_MS);
      await removeAll();
      disk.settle();
      await yore("undelete", repository);
      const found = join(await disk.afterLoss(), "laptop");
      for (const [type, content] of Object.entries(contents)) {
        const name = sha256(Buffer.from(content));
        const path = type === "data" ? join(type, name.slice(0, 2), name) : join(type, name);
        expect(existsSync(join(found, path)), type).toBe(true);
      }
    });
  });
});
