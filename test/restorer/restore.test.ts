import { randomBytes, randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import type { YoreError } from "../../src/errors.js";
import { GO_MODE_DIR } from "../../src/format/file-mode.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import { loadAddon } from "../../src/native/addon.js";
import type { BlobLoader } from "../../src/repository/blob-loader.js";
import type { Repository } from "../../src/repository/repository.js";
import { restore } from "../../src/restorer/restore.js";
import {
  newRestoreProgress,
  type RestoreEvent,
  type RestoreOptions,
} from "../../src/restorer/restore-options.js";
import { createRepository, node, openRepository, wrapBackend } from "../repository/support.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const MTIME = { seconds: 1_600_000_000, nanoseconds: 123_456_789, zoneMinutes: 0 };

async function saveData(repository: Repository, ...pieces: Uint8Array[]): Promise<IdList> {
  const saved = await Promise.all(pieces.map((piece) => repository.saveBlob("data", piece)));
  return IdList.from(saved.map(({ id }) => id));
}

function common(fields: Partial<TreeNode>): Partial<TreeNode> {
  return { mtime: MTIME, atime: MTIME, uid: process.getuid!(), gid: process.getgid!(), ...fields };
}

async function file(repository: Repository, name: string, ...pieces: Uint8Array[]): Promise<TreeNode> {
  const content = await saveData(repository, ...pieces);
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  return node(name, common({ type: "file", mode: 0o644, content, size }));
}

function symlinkTo(name: string, target: string): TreeNode {
  return node(name, common({ type: "symlink", linkTarget: Buffer.from(target), content: null, mode: 0o777 }));
}

function folderOf(name: string, subtree: Id): TreeNode {
  return node(name, common({ type: "dir", mode: GO_MODE_DIR + 0o755, subtree, content: null }));
}

async function saveTree(repository: Repository, nodes: readonly TreeNode[]): Promise<Id> {
  const sorted = [...nodes].sort((a, b) => Buffer.compare(a.name, b.name));
  return (await repository.saveBlob("tree", encodeTree(sorted))).id;
}

/** A tree that no honest program writes: any names, in any order. */
async function saveForgedTree(repository: Repository, nodes: readonly TreeNode[]): Promise<Id> {
  const texts = nodes.map((one) => {
    const stand = { ...one, name: Buffer.from("NAME") };
    const json = encodeTree([stand]).toString();
    return json
      .slice('{"nodes":['.length, -"]}\n".length)
      .replace('"NAME"', JSON.stringify(one.name.toString()));
  });
  const blob = Buffer.from(`{"nodes":[${texts.join(",")}]}\n`);
  return (await repository.saveBlob("tree", blob)).id;
}

async function restoreTo(
  repository: Repository,
  tree: Id,
  target: string,
  options: Partial<RestoreOptions> = {},
) {
  await repository.flush();
  const events: RestoreEvent[] = [];
  const summary = await restore(
    repository,
    tree,
    { target, ...options },
    { on: (event) => void events.push(event) },
  );
  const errors = events.filter((event) => event.type === "error");
  const warnings = events.filter((event) => event.type === "warning");
  return { summary, events, errors, warnings };
}

async function listing(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}

describe("restore", () => {
  it("writes files, folders and links with their times", async () => {
    const repository = await createRepository();
    const big = randomBytes(3_000_000);
    const below = await saveTree(repository, [await file(repository, "leaf", Buffer.from("leaf"))]);
    const tree = await saveTree(repository, [
      await file(repository, "empty"),
      await file(repository, "big", big.subarray(0, 1_000_000), big.subarray(1_000_000)),
      await file(repository, "twice", Buffer.from("ab"), Buffer.from("cd"), Buffer.from("ab")),
      folderOf("folder", below),
      symlinkTo("link", "folder/leaf"),
    ]);
    const target = join(await temporaryFolder(), "a/new/folder");
    const { summary, errors, warnings } = await restoreTo(repository, tree, target);
    expect([errors, warnings]).toEqual([[], []]);
    expect(summary).toMatchObject({ errors: 0, filesTotal: 6, filesRestored: 6, bytesRestored: 3_000_010 });
    expect((await readFile(join(target, "big"))).equals(big)).toBe(true);
    expect(await readFile(join(target, "twice"), "utf8")).toBe("abcdab");
    expect(await readFile(join(target, "link"), "utf8")).toBe("leaf");
    for (const name of ["empty", "big", "folder", "link", "folder/leaf"]) {
      const { mtimeNs } = await lstat(join(target, name), { bigint: true });
      expect(mtimeNs, name).toBe(1_600_000_000_123_456_789n);
    }
  });

  it("writes a thousand files of many packs with few descriptors", async () => {
    const repository = await createRepository({ packSizeBytes: 4 * 1024 * 1024 });
    const pieces = Array.from({ length: 1500 }, () => randomBytes(randomInt(1, 9000)));
    const nodes = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => {
        const own = [0, 1, 2].map((k) => pieces[(i * 7 + k * 499) % pieces.length]!);
        return file(repository, `file ${i}`, ...own.slice(0, 1 + (i % 3)));
      }),
    );
    const tree = await saveTree(repository, nodes);
    const target = await temporaryFolder();
    const { summary } = await restoreTo(repository, tree, target, { verify: true });
    expect(summary).toMatchObject({ errors: 0, filesRestored: 1000, filesVerified: 1000 });
  });

  it("reads the neighbours in a pack with one request", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const nodes = await Promise.all(
      Array.from({ length: 300 }, (_, i) => file(repository, `file ${i}`, randomBytes(randomInt(1, 9000)))),
    );
    const tree = await saveTree(repository, nodes);
    await repository.flush();
    let requests = 0;
    const counting = wrapBackend(backend, {
      load: (handle, range) => {
        if (handle.type === "pack") requests++;
        return backend.load(handle, range);
      },
    });
    const { summary } = await restoreTo(await openRepository(counting), tree, await temporaryFolder());
    expect(summary).toMatchObject({ errors: 0, filesRestored: 300 });
    // The pack of the files, and that of the tree.
    expect(requests).toBeLessThanOrEqual(2);
  });

  it("stays out of folders in the end in which everything is done, and goes into those where something is left", async () => {
    const backend = new MemoryBackend();
    const repository = await createRepository({}, backend);
    const files = await Promise.all(["a", "b"].map((name) => file(repository, name, Buffer.from(name))));
    const plain = await saveTree(repository, files);
    const mixed = await saveTree(repository, [...files, symlinkTo("link", "a")]);
    const tree = await saveTree(repository, [
      folderOf("mixed", mixed),
      folderOf("plain", plain),
      folderOf("twin", plain),
    ]);
    await repository.flush();
    const loads = new Map<string, number>();
    const opened = await openRepository(backend);
    const inOrder: BlobLoader = {
      blobSize: (type, id) => opened.blobSize(type, id),
      loadBlob: (type, id, signal) => {
        loads.set(formatId(id), (loads.get(formatId(id)) ?? 0) + 1);
        return opened.loadBlob(type, id, signal);
      },
    };
    Object.defineProperty(opened, "inOrder", { value: inOrder });

    const target = await temporaryFolder();
    expect((await restoreTo(opened, tree, target)).summary).toMatchObject({ errors: 0, warnings: 0 });
    const mtimeOf = async (path: string) => (await lstat(join(target, path), { bigint: true })).mtimeNs;
    for (const path of ["mixed", "mixed/a", "mixed/link", "plain", "plain/a", "twin", "twin/b"])
      expect([path, await mtimeOf(path)]).toEqual([path, 1_600_000_000_123_456_789n]);
    expect(loads.get(formatId(mixed))).toBe(2);
    expect(loads.get(formatId(plain))).toBe(loadAddon() ? 2 : 4);
  });

  it.skipIf(!loadAddon())("takes away what new files and folders inherit", async () => {
    const repository = await createRepository();
    const below = await saveTree(repository, [await file(repository, "file", Buffer.from("content"))]);
    const tree = await saveTree(repository, [folderOf("folder", below)]);
    const target = await temporaryFolder();
    expect((await run("setfacl", ["-d", "-m", "u:1:rwx", target])).code).toBe(0);
    expect((await restoreTo(repository, tree, target)).summary).toMatchObject({ errors: 0, warnings: 0 });
    for (const path of ["folder", "folder/file"]) {
      const { stdout } = await run("getfacl", ["-cps", join(target, path)]);
      expect([path, stdout]).toEqual([path, ""]);
      const { mtimeNs, mode } = await lstat(join(target, path), { bigint: true });
      expect([path, mtimeNs, mode & 0o7777n]).toEqual([
        path,
        1_600_000_000_123_456_789n,
        path === "folder" ? 0o755n : 0o644n,
      ]);
    }
  });

  it("tells of nodes that cannot be restored, and restores the others", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [
      node("a file without list", common({ type: "file", content: null })),
      node("b folder without tree", common({ type: "dir", content: null, subtree: undefined })),
      node("c irregular", common({ type: "irregular", content: null })),
      node("d socket", common({ type: "socket", content: null })),
      node("e link without target", common({ type: "symlink", content: null })),
      folderOf("f lost folder", (await repository.engine.hashAll([Buffer.of(1)])).at(0)),
      await file(repository, "z good", Buffer.from("good")),
    ]);
    const target = await temporaryFolder();
    const { errors } = await restoreTo(repository, tree, target);
    const said = new Set(errors.map(({ location }) => location.slice(0, 3)));
    expect([...said].sort()).toEqual(["/a ", "/b ", "/c ", "/e ", "/f "]);
    expect(await readFile(join(target, "z good"), "utf8")).toBe("good");
    expect(existsSync(join(target, "d socket"))).toBe(false);
  });

  it("keeps what is there when the blob that should replace it is in no index", async () => {
    const repository = await createRepository();
    const lost = (await repository.engine.hashAll([Buffer.from("lost")])).at(0);
    const tree = await saveTree(repository, [
      node("file", common({ type: "file", mode: 0o644, content: IdList.from([lost]), size: 4 })),
    ]);
    const target = await temporaryFolder();
    await writeFile(join(target, "file"), "precious");
    const { errors } = await restoreTo(repository, tree, target);
    expect(errors).toHaveLength(1);
    expect(errors[0]!.error.message).toContain(formatId(lost));
    expect(await readFile(join(target, "file"), "utf8")).toBe("precious");
  });

  it("reports how far it is while it works", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "file", randomBytes(1000))]);
    await repository.flush();
    const progress = newRestoreProgress();
    await restore(repository, tree, { target: await temporaryFolder() }, { progress });
    expect(progress).toMatchObject({
      phase: "done",
      bytesTotal: 1000,
      bytesRestored: 1000,
      filesRestored: 1,
    });
  });

  it("stops when it is told to, and completes the next time", async () => {
    const repository = await createRepository();
    const contents = Array.from({ length: 60 }, () => randomBytes(200_000));
    const nodes = await Promise.all(
      contents.map((data, i) => file(repository, `f${i}`, data.subarray(0, 100_000), data.subarray(100_000))),
    );
    const tree = await saveTree(repository, nodes);
    await repository.flush();
    const target = await temporaryFolder();
    const controller = new AbortController();
    const work = restore(
      repository,
      tree,
      { target },
      { signal: controller.signal, on: ({ type }) => type === "item" && controller.abort() },
    );
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
    const { summary } = await restoreTo(repository, tree, target);
    expect(summary.errors).toBe(0);
    expect(summary.filesSkipped).toBeGreaterThan(0);
    for (const [i, data] of contents.entries())
      expect((await readFile(join(target, `f${i}`))).equals(data)).toBe(true);
  });
});

describe("restore of a malicious tree", () => {
  const BAD_NAMES = [
    "..",
    ".",
    "/",
    "../escaped",
    "a/b",
    "/escaped",
    "folder/../../escaped",
    "",
    "nul\0byte",
  ];

  it.each(BAD_NAMES)("refuses the name %j and writes nothing outside", async (name) => {
    const repository = await createRepository();
    const data = await saveTree(repository, [await file(repository, "escaped", Buffer.from("bad"))]);
    for (const bad of [
      await file(repository, name, Buffer.from("bad")),
      symlinkTo(name, "/"),
      node(name, common({ type: "fifo", content: null })),
      folderOf(name, data),
    ]) {
      const tree = await saveForgedTree(repository, [
        bad,
        await file(repository, "good", Buffer.from("good")),
      ]);
      const outside = await temporaryFolder();
      const target = join(outside, "target");
      await mkdir(target);
      await writeFile(join(target, "extra"), "kept, since the tree cannot be trusted");
      const { errors } = await restoreTo(repository, tree, target, { delete: true });
      expect(errors.length).toBeGreaterThan(0);
      expect(await listing(outside)).toEqual(["target", "target/extra", "target/good"]);
    }
  });

  it("does not follow a link of the snapshot that has the name of one of its folders", async () => {
    const repository = await createRepository();
    const outside = await temporaryFolder();
    await writeFile(join(outside, "precious"), "precious");
    const fifo = node("precious", common({ type: "fifo", content: null }));
    const hidden = symlinkTo("precious", "nowhere");
    const first = await file(repository, "first", Buffer.from("x"));
    const linked = { links: 2, inode: 7n, deviceId: 1n };
    for (const inside of [fifo, hidden, { ...first, ...linked, name: Buffer.from("precious") }]) {
      const below = await saveTree(repository, [inside]);
      const link = symlinkTo("trap", outside);
      const trap = folderOf("trap", below);
      const other = { ...first, ...linked };
      for (const nodes of [
        [other, link, trap],
        [other, trap, link],
        [other, trap, link, trap],
      ]) {
        const tree = await saveForgedTree(repository, nodes);
        for (const options of [{}, { delete: true }, { overwrite: "never" as const }])
          await restoreTo(repository, tree, await temporaryFolder(), options);
        expect(await listing(outside)).toEqual(["precious"]);
        expect(await readFile(join(outside, "precious"), "utf8")).toBe("precious");
      }
    }
  });

  it("replaces links in the target, whatever they lead to", async () => {
    const repository = await createRepository();
    const outside = await temporaryFolder();
    await writeFile(join(outside, "file"), "precious");
    const below = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const tree = await saveTree(repository, [
      folderOf("folder", below),
      await file(repository, "file", Buffer.from("n"), Buffer.from("ew")),
    ]);
    const target = await temporaryFolder();
    await symlink(outside, join(target, "folder"));
    await symlink(join(outside, "file"), join(target, "file"));
    expect((await restoreTo(repository, tree, target)).errors).toEqual([]);
    expect(await readFile(join(outside, "file"), "utf8")).toBe("precious");
    expect(await readFile(join(target, "folder/file"), "utf8")).toBe("new");
    expect(await readFile(join(target, "file"), "utf8")).toBe("new");
  });

  it("breaks hard links of the target instead of writing through them", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const outside = await temporaryFolder();
    await writeFile(join(outside, "file"), "precious");
    const target = await temporaryFolder();
    await run("ln", [join(outside, "file"), join(target, "file")]);
    expect((await restoreTo(repository, tree, target)).errors).toEqual([]);
    expect(await readFile(join(outside, "file"), "utf8")).toBe("precious");
    expect(await readFile(join(target, "file"), "utf8")).toBe("new");
  });

  it("follows a target that is itself a link, since the user named it", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const folder = await temporaryFolder();
    await mkdir(join(folder, "real"));
    await symlink("real", join(folder, "link"));
    await restoreTo(repository, tree, join(folder, "link"));
    expect(await readlink(join(folder, "link"))).toBe("real");
    expect(await readdir(join(folder, "real"))).toEqual(["file"]);
  });
});

describe("restore of a damaged repository", () => {
  /** A repository in memory with its tree and what its files should be. */
  async function prepare() {
    const backend = new MemoryBackend();
    const repository = await createRepository({ packSizeBytes: 4 * 1024 * 1024 }, backend);
    const contents = new Map<string, Buffer>();
    const nodes: TreeNode[] = [];
    for (let i = 0; i < 40; i++) {
      const pieces = Array.from({ length: 1 + (i % 4) }, () => randomBytes(randomInt(1, 150_000)));
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

  it("names the pack that is missing, once for each file", async () => {
    const { backend, tree, contents, packs } = await prepare();
    await backend.remove({ type: "pack", name: packs[0]! });
    const target = await temporaryFolder();
    const { errors } = await restoreTo(await openRepository(backend), tree, target);
    expect(await expectNothingWrong(target, contents, errors)).toBeGreaterThan(0);
    expect(errors[0]!.error.message).toContain(packs[0]!.slice(0, 8));
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
    const { code } = await run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", target]);
    if (code !== 0) return;
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
