import { randomBytes, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, IdList } from "../../src/bytes/id.js";
import { NotFoundError, type YoreError } from "../../src/errors.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import type { Repository } from "../../src/repository/repository.js";
import { createRepository, openRepository, wrapBackend } from "../repository/support.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { file, folderOf, listing, restoreTo, saveTree } from "./support.js";

describe("restore of a damaged repository", () => {
  /** A repository in memory with its tree and what its files should be. */
  async function prepare() {
    const backend = new MemoryBackend();
    const repository = await createRepository({ packSizeBytes: 4 * 1024 * 1024 }, backend);
    const contents = new Map<string, Buffer>();
    const nodes: TreeNode[] = [];
    for (let i = 0; i < 40; i++) {
      // Small ones are unsealed by the batch, large ones by twos.
      const longest = i % 3 === 0 ? 900_000 : 150_000;
      const pieces = Array.from({ length: 1 + (i % 4) }, () => randomBytes(randomInt(1, longest)));
      contents.set(`file ${i}`, Buffer.concat(pieces));
      nodes.push(await file(repository, `file ${i}`, ...pieces));
    }
    const tree = await saveTree(repository, nodes);
    await repository.flush();
    const packs: string[] = [];
    for await (const { name } of backend.list("pack")) packs.push(name);
    const isData = (name: string) => {
      const pack = [...repository.index.packs()].find(({ packId }) => formatId(packId) === name);
      return pack?.blobs[0]?.type === "data";
    };
    return { backend, tree, contents, packs: packs.filter(isData) };
  }

  /** No file has wrong bytes under its own name, and each that is missing has an error. */
  async function expectNothingWrong(
    target: string,
    contents: ReadonlyMap<string, Buffer>,
    errors: readonly { readonly location: string; readonly error: YoreError }[],
  ): Promise<number> {
    const failed = new Set(errors.map(({ location }) => location));
    for (const [name, content] of contents) {
      const path = join(target, name);
      if (existsSync(path)) expect((await readFile(path)).equals(content), name).toBe(true);
      expect(failed.has(`/${name}`), name).toBe(!existsSync(path));
    }
    expect(errors.length).toBe(failed.size);
    return failed.size;
  }

  it("never writes wrong bytes, whichever bit of a pack is flipped", async () => {
    const { backend, tree, contents, packs } = await prepare();
    for (let round = 0; round < 25; round++) {
      const handle = { type: "pack", name: packs[randomInt(packs.length)]! } as const;
      const whole = Buffer.from(await backend.load(handle));
      const spoiled = Buffer.from(whole);
      const at = randomInt(spoiled.length - 3000);
      spoiled[at]! ^= 1 << randomInt(8);
      await backend.save(handle, [spoiled]);
      const target = await temporaryFolder();
      const { errors } = await restoreTo(await openRepository(backend), tree, target);
      const failed = await expectNothingWrong(target, contents, errors);
      expect(failed, `byte ${at}`).toBe(1);
      const { message, hint } = errors[0]!.error;
      expect(`${message} ${hint}`).toContain(handle.name);
      expect(message).toMatch(/blob [0-9a-f]{8}/);
      await backend.save(handle, [whole]);
    }
  });

  it("restores what a pack still has that was cut", async () => {
    const { backend, tree, contents, packs } = await prepare();
    const handle = { type: "pack", name: packs[0]! } as const;
    const whole = await backend.load(handle);
    await backend.save(handle, [whole.subarray(0, Math.floor(whole.length / 2))]);
    const target = await temporaryFolder();
    const { errors } = await restoreTo(await openRepository(backend), tree, target);
    const failed = await expectNothingWrong(target, contents, errors);
    expect(failed).toBeGreaterThan(0);
    expect(failed).toBeLessThan(contents.size);
  });

  it("leaves nothing of a file of which nothing is good", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({ version: 1 }, backend);
    const pieces = [randomBytes(1000), randomBytes(2000)];
    const tree = await saveTree(repository, [
      await file(repository, "lost", ...pieces),
      await file(repository, "small", pieces[1]!),
    ]);
    await repository.flush();
    for (const { packId, blobs } of repository.index.packs()) {
      const handle = { type: "pack", name: formatId(packId) } as const;
      const bytes = Buffer.from(await backend.load(handle));
      for (const { type, offset } of blobs) if (type === "data") bytes[offset + 40]! ^= 1;
      await backend.save(handle, [bytes]);
    }
    const target = await temporaryFolder();
    const { errors, summary } = await restoreTo(await openRepository(backend), tree, target);
    expect(errors.map(({ location }) => location).sort()).toEqual(["/lost", "/small"]);
    expect(summary.filesRestored).toBe(0);
    expect(await listing(target)).toEqual([]);
  });

  it("takes another copy of a blob where one is damaged", async () => {
    const backend = new MemoryBackend();
    const pieces = [randomBytes(1000), randomBytes(2000)];
    const build = async (repository: Repository) =>
      saveTree(repository, [
        await file(repository, "large", ...pieces),
        await file(repository, "small", pieces[1]!),
      ]);
    const first = await createRepository({}, backend);
    // Opened while nothing is there: it does not know what the first one saves, and saves it again.
    const second = await openRepository(backend);
    const tree = await build(first);
    await build(second);
    await first.flush();
    await second.flush();
    const [pack] = first.index.packs();
    const handle = { type: "pack", name: formatId(pack!.packId) } as const;
    const bytes = Buffer.from(await backend.load(handle));
    for (const { offset } of pack!.blobs) bytes[offset + 40]! ^= 1;
    await backend.save(handle, [bytes]);
    const target = await temporaryFolder();
    const { errors } = await restoreTo(await openRepository(backend), tree, target);
    expect(errors).toEqual([]);
    expect((await readFile(join(target, "large"))).equals(Buffer.concat(pieces))).toBe(true);
    expect((await readFile(join(target, "small"))).equals(pieces[1]!)).toBe(true);
    expect((await lstat(join(target, "small"), { bigint: true })).mtimeNs).toBe(1_600_000_000_123_456_789n);
  });

  it("tells of every file in a folder that cannot be entered", async () => {
    const repository = await createRepository();
    const inside = await saveTree(repository, [
      await file(repository, "a", Buffer.from("a")),
      await file(repository, "b", Buffer.from("b"), Buffer.from("c")),
      await file(repository, "empty"),
    ]);
    const long = "n".repeat(300);
    const tree = await saveTree(repository, [
      folderOf("outer", await saveTree(repository, [folderOf(long, inside)])),
    ]);
    const target = await temporaryFolder();
    const { errors, summary } = await restoreTo(repository, tree, target);
    const locations = new Set(errors.map(({ location }) => location));
    for (const one of ["a", "b", "empty"]) expect(locations).toContain(`/outer/${long}/${one}`);
    expect(summary.filesRestored).toBe(1);
    expect(await listing(target)).toEqual(["outer"]);
  });

  it("restores nothing of a large folder whose tree is none further on, and removes nothing there", async () => {
    const repository = await createRepository();
    const nodes = await Promise.all(
      Array.from({ length: 5_000 }, (_, i) => file(repository, `file ${i}`, Buffer.from("x"))),
    );
    const json = encodeTree(nodes.sort((a, b) => Buffer.compare(a.name, b.name))).toString();
    expect(json.length).toBeGreaterThan(1024 * 1024);
    const cut = Buffer.from(`${json.slice(0, -"]}\n".length)},{"name":"last","type":5}]}\n`);
    const broken = await repository.saveBlob("tree", cut);
    const tree = await saveTree(repository, [folderOf("broken", broken.id), await file(repository, "good")]);
    const target = await temporaryFolder();
    await mkdir(join(target, "broken"));
    await writeFile(join(target, "broken/mine"), "mine");
    const { errors } = await restoreTo(repository, tree, target, { delete: true });
    expect(errors).toMatchObject([{ location: "/broken", error: { code: "damaged" } }]);
    expect((await readdir(target, { recursive: true })).sort()).toEqual(["broken", "broken/mine", "good"]);
  });

  it("names the pack that is missing, once for each file", async () => {
    const { backend, tree, contents, packs } = await prepare();
    await backend.remove({ type: "pack", name: packs[0]! });
    const target = await temporaryFolder();
    const { errors } = await restoreTo(await openRepository(backend), tree, target);
    expect(await expectNothingWrong(target, contents, errors)).toBeGreaterThan(0);
    expect(errors[0]!.error.message).toContain(packs[0]!.slice(0, 8));
  });

  it("makes no other name of what still stands where the content of a file is lost", async () => {
    const repository = await createRepository();
    const linked = { links: 2, inode: 7n };
    const content = randomBytes(1000);
    const nodes = [await file(repository, "a", content), await file(repository, "b", content)];
    const tree = await saveTree(
      repository,
      nodes.map((node) => ({ ...node, ...linked })),
    );
    await repository.flush();
    const location = repository.index.lookup("data", nodes[0]!.content!.at(0))!;
    await repository.backend.remove({ type: "pack", name: formatId(location.packId) });
    const target = await temporaryFolder();
    await writeFile(join(target, "a"), Buffer.alloc(1000));
    await writeFile(join(target, "b"), content);
    const before = await lstat(join(target, "a"));
    const { errors } = await restoreTo(await openRepository(repository.backend), tree, target);
    expect(errors.map((error) => error.location)).toEqual(["/a", "/b"]);
    expect((await readFile(join(target, "b"))).equals(content)).toBe(true);
    expect(await lstat(join(target, "a"))).toMatchObject({ nlink: 1, mtimeMs: before.mtimeMs });
  });

  it("keeps the good parts of a damaged file under another name, and makes it whole later", async () => {
    const { backend, tree, contents, packs } = await prepare();
    const handle = { type: "pack", name: packs[0]! } as const;
    const whole = await backend.load(handle);
    const spoiled = Buffer.from(whole);
    for (let at = 0; at < spoiled.length; at += 60_000) spoiled[at]! ^= 1;
    await backend.save(handle, [spoiled]);
    const target = await temporaryFolder();
    const { errors } = await restoreTo(await openRepository(backend), tree, target, { delete: true });
    await expectNothingWrong(target, contents, errors);
    const kept = errors.filter(({ error }) => error.message.includes(".incomplete"));
    expect(kept.length).toBeGreaterThan(0);
    for (const { location } of kept) expect(existsSync(join(target, `${location}.incomplete`))).toBe(true);
    await backend.save(handle, [whole]);
    const again = await restoreTo(await openRepository(backend), tree, target, { delete: true });
    expect(again.errors).toEqual([]);
    expect((await readdir(target)).sort()).toEqual([...contents.keys()].sort());
  });

  describe("of which two files have a blob that is lost", () => {
    const good = randomBytes(2000);
    const lost = randomBytes(1000);

    /** @returns a repository without the blob, and the tree of files of these names: the good blob and the lost one */
    async function withLostBlob(damaged: readonly string[], others: Readonly<Record<string, Uint8Array>>) {
      const repository = await createRepository({ version: 1 });
      const tree = await saveTree(repository, [
        ...(await Promise.all(damaged.map((name) => file(repository, name, good, lost)))),
        ...(await Promise.all(
          Object.entries(others).map(([name, content]) => file(repository, name, content)),
        )),
      ]);
      await repository.flush();
      for (const { packId, blobs } of repository.index.packs()) {
        const handle = { type: "pack", name: formatId(packId) } as const;
        const bytes = Buffer.from(await repository.backend.load(handle));
        for (const { length, offset } of blobs) if (length === lost.length + 32) bytes[offset + 40]! ^= 1;
        await repository.backend.save(handle, [bytes]);
      }
      return { repository: await openRepository(repository.backend), tree };
    }

    const contentOf = async (target: string, name: string) => await readFile(join(target, name));
    /** What is left of a damaged file. */
    const parts = (bytes: Buffer) => bytes.subarray(0, good.length).equals(good);

    it("keeps their parts apart from a healthy file of such a name", async () => {
      const others = { "a.incomplete": randomBytes(500), "a.incomplete-2": Buffer.concat([good, good]) };
      const { repository, tree } = await withLostBlob(["a"], others);
      const target = await temporaryFolder();
      const { errors, summary } = await restoreTo(repository, tree, target);
      expect(summary.filesRestored).toBe(2);
      for (const [name, content] of Object.entries(others))
        expect((await contentOf(target, name)).equals(content), name).toBe(true);
      expect(errors.map(({ error }) => error.message)).toEqual([
        expect.stringContaining('"/a.incomplete-3"'),
      ]);
      expect(parts(await contentOf(target, "a.incomplete-3"))).toBe(true);
      expect((await readdir(target)).length).toBe(3);
    });

    it("leaves alone what stood there before, and takes up what an earlier run has left", async () => {
      const { repository, tree } = await withLostBlob(["a"], {});
      const target = await temporaryFolder();
      await writeFile(join(target, "a.incomplete"), "mine");
      for (let run = 0; run < 2; run++) {
        const { errors } = await restoreTo(repository, tree, target);
        expect(errors.length).toBe(1);
        expect((await contentOf(target, "a.incomplete")).toString()).toBe("mine");
        expect(parts(await contentOf(target, "a.incomplete-2"))).toBe(true);
        expect((await readdir(target)).sort()).toEqual(["a.incomplete", "a.incomplete-2"]);
      }
    });

    it.each([
      ["another", "its other parts are gone, and somebody else has put something in its place"],
      ["none", "its other parts are gone: somebody else has removed or renamed it"],
    ])("leaves alone what another program has put in place of a damaged file: %s", async (put, told) => {
      const repository = await createRepository();
      const first = await file(repository, "a", good);
      await repository.flush();
      const second = await file(repository, "a", lost);
      const content = IdList.from([first.content!.at(0), second.content!.at(0)]);
      const tree = await saveTree(repository, [{ ...first, content, size: good.length + lost.length }]);
      await repository.flush();
      const { packId } = repository.index.lookup("data", content.at(1))!;
      const target = await temporaryFolder();
      const backend = wrapBackend(repository.backend, {
        connections: 1,
        load: async (handle, range) => {
          if (handle.name !== formatId(packId)) return repository.backend.load(handle, range);
          expect(parts(await contentOf(target, "a"))).toBe(true);
          await rm(join(target, "a"));
          if (put === "another") await writeFile(join(target, "a"), "theirs");
          throw new NotFoundError("Gone");
        },
      });
      const { errors } = await restoreTo(await openRepository(backend), tree, target);
      expect(errors.map(({ error }) => error.message)).toEqual([expect.stringContaining(`; ${told}`)]);
      expect(await readdir(target)).toEqual(put === "another" ? ["a"] : []);
      if (put === "another") expect((await contentOf(target, "a")).toString()).toBe("theirs");
    });

    it("keeps apart the parts of files with long names that begin alike", async () => {
      const names = ["A", "B"].map((end) => "long".repeat(63) + end);
      const { repository, tree } = await withLostBlob(names, {});
      const target = await temporaryFolder();
      const { errors } = await restoreTo(repository, tree, target);
      const told = errors.map(({ error }) => /in "\/([^"]+)"/.exec(error.message)![1]!);
      expect(new Set(told).size).toBe(2);
      expect((await readdir(target)).sort()).toEqual(told.sort());
      for (const name of told) expect(parts(await contentOf(target, name))).toBe(true);
    });
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("restore to a full disk", () => {
  let mounted: string | undefined;

  afterEach(async () => {
    if (mounted) await run("umount", [mounted]);
    mounted = undefined;
  });

  it("stops with one clear error, and goes on when there is room", async () => {
    const repository = await createRepository();
    const contents = Array.from({ length: 20 }, () => randomBytes(200_000));
    const nodes = await Promise.all(contents.map((data, i) => file(repository, `f${i}`, data)));
    nodes.push(await file(repository, "large", randomBytes(300_000), randomBytes(300_000)));
    const tree = await saveTree(repository, nodes);
    const target = await temporaryFolder();
    expect((await run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", target])).code).toBe(0);
    mounted = target;
    await expect(restoreTo(repository, tree, target)).rejects.toMatchObject({
      code: "no-space",
      message: expect.stringContaining("no space is left") as string,
    });
    for (const [i, data] of contents.entries()) {
      const path = join(target, `f${i}`);
      if (existsSync(path)) expect((await readFile(path)).equals(data)).toBe(true);
    }
    await run("mount", ["-o", "remount,size=10m", target]);
    const { summary } = await restoreTo(repository, tree, target);
    expect(summary.errors).toBe(0);
    expect((await stat(join(target, "large"))).size).toBe(600_000);
  });
});
