import { randomBytes, randomInt } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { link, lstat, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, IdList } from "../../src/bytes/id.js";
import { GO_MODE_NAMED_PIPE } from "../../src/format/file-mode.js";
import { loadAddon } from "../../src/native/addon.js";
import type { BlobLoader } from "../../src/repository/blob-loader.js";
import { restore } from "../../src/restorer/restore.js";
import { newRestoreProgress, type RestoreEvent } from "../../src/restorer/restore-options.js";
import { createRepository, node, openRepository, wrapBackend } from "../repository/support.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { itWhere } from "../support/where.js";
import { common, file, folderOf, restoreTo, saveTree, symlinkTo } from "./support.js";

describe("restore", () => {
  it("tells of a restored file that somebody else takes away before it has its metadata", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [
      await file(repository, "gone", Buffer.from("one"), Buffer.from("two")),
      await file(repository, "there", Buffer.from("one"), Buffer.from("two")),
    ]);
    await repository.flush();
    const target = await temporaryFolder();
    const errors: string[] = [];
    const on = (event: RestoreEvent) => {
      if (event.type === "item" && event.location === "/gone") rmSync(join(target, "gone"));
      if (event.type === "error") errors.push(event.error.message);
    };
    const summary = await restore(repository, tree, { target }, { on });
    expect(errors).toEqual(['Cannot restore "/gone": somebody else has removed or renamed it']);
    expect(summary).toMatchObject({ errors: 1, warnings: 0 });
    expect(await readdir(target)).toEqual(["there"]);
  });

  itWhere(process.getuid?.() === 0)("counts as deleted what it could delete, and nothing else", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "there", Buffer.from("one"))]);
    const target = await temporaryFolder();
    // Nobody removes a mountpoint.
    const held = join(target, "extra/held");
    mkdirSync(held, { recursive: true });
    writeFileSync(join(target, "left over"), "x");
    await run("mount", ["-t", "tmpfs", "none", held]);
    try {
      const { summary, errors, events } = await restoreTo(repository, tree, target, { delete: true });
      expect(errors.map(({ error }) => error.message)).toEqual([
        expect.stringMatching(/^Cannot remove "\/extra": .*busy/),
      ]);
      expect(summary).toMatchObject({ errors: 1, filesDeleted: 1 });
      const deleted = events.filter((event) => event.type === "item" && event.action === "deleted");
      expect(deleted).toMatchObject([{ location: "/left over" }]);
    } finally {
      await run("umount", [held]);
    }
    expect((await restoreTo(repository, tree, target, { delete: true })).summary.filesDeleted).toBe(2);
  });

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

  it.skipIf(!loadAddon())(
    "leaves alone what has its content and all metadata, and mends the rest",
    async () => {
      const repository = await createRepository();
      const names = ["right", "content", "mode", "modified", "accessed", "attribute", "missing"];
      const files = await Promise.all(names.map((name) => file(repository, name, Buffer.from(name))));
      const plain = await saveTree(repository, files);
      const tree = await saveTree(repository, [folderOf("changed", plain), folderOf("same", plain)]);
      const target = await temporaryFolder();
      await restoreTo(repository, tree, target);
      const path = (name: string) => join(target, "changed", name);
      const status = (name: string) => lstat(join(target, name), { bigint: true });
      const before = await Promise.all(names.map((name) => status(`same/${name}`)));
      const rightBefore = await status("changed/right");
      writeFileSync(path("content"), "CONTENT");
      chmodSync(path("mode"), 0o600);

      await run("touch", ["-a", "-d", "2001-01-01", path("accessed")]);
      expect((await run("setfattr", ["-n", "user.x", "-v", "y", path("attribute")])).code).toBe(0);
      rmSync(path("missing"));

      for (const overwrite of ["always", "if-changed"] as const) {
        const { summary } = await restoreTo(repository, tree, target, { overwrite });
        expect(summary).toMatchObject({ errors: 0, warnings: 0, filesTotal: expect.any(Number) });
        for (const name of names) {
          const { mtimeNs, atimeNs, mode } = await status(`changed/${name}`);
          expect([name, mtimeNs, atimeNs, mode & 0o7777n]).toEqual([
            name,
            1_600_000_000_123_456_789n,
            1_600_000_000_123_456_789n,
            0o644n,
          ]);
        }
      }
      expect((await run("getfattr", [path("attribute")])).stdout).toBe("");
      expect((await status("changed/right")).ctimeNs).toBe(rightBefore.ctimeNs);
      expect(await Promise.all(names.map((name) => status(`same/${name}`)))).toEqual(before);
      for (const name of names) expect(await readFile(path(name), "utf8")).toBe(name);
    },
  );

  it.skipIf(!loadAddon())("touches nothing of any kind that is as it should be", async () => {
    const repository = await createRepository();
    const shared = { links: 2, inode: 7n, deviceId: 1n };
    const below = await saveTree(repository, [
      await file(repository, "one", Buffer.from("one")),
      await file(repository, "two blobs", Buffer.from("two"), Buffer.from("blobs")),
      {
        ...(await file(repository, "attributes", Buffer.from("x"))),
        extendedAttributes: [{ name: "user.name", value: Buffer.from("value") }],
      },
      { ...(await file(repository, "link-1", Buffer.from("linked"))), ...shared },
      { ...(await file(repository, "link-2", Buffer.from("linked"))), ...shared },
      symlinkTo("symlink", "one"),
      node("fifo", common({ type: "fifo", mode: GO_MODE_NAMED_PIPE + 0o640, content: null })),
    ]);
    const tree = await saveTree(repository, [folderOf("folder", below)]);
    const target = await temporaryFolder();
    const names = ["", "/one", "/two blobs", "/attributes", "/link-1", "/link-2", "/fifo", "/symlink"];
    const statuses = () =>
      Promise.all(
        names.map(async (name) => {
          const { ino, ctimeNs } = await lstat(join(target, `folder${name}`), { bigint: true });
          // The time of last access of a symbolic link changes when it is read, and is set again.
          return [name, ino, name === "/symlink" ? undefined : ctimeNs];
        }),
      );
    await restoreTo(repository, tree, target);
    const before = await statuses();
    expect((await restoreTo(repository, tree, target)).summary).toMatchObject({ errors: 0, warnings: 0 });
    expect(await statuses()).toEqual(before);
    if (process.getuid!() !== 0) return;
    // Where nothing can be written, anything more than a look fails.
    await run("mount", ["--bind", target, target]);
    try {
      await run("mount", ["-o", "remount,bind,ro", target]);
      expect((await restoreTo(repository, tree, target)).summary).toMatchObject({ errors: 0, warnings: 0 });
    } finally {
      await run("umount", [target]);
    }
  });

  it.skipIf(!loadAddon())("makes anew a link or a fifo that has other names", async () => {
    const repository = await createRepository();
    const fifo = (name: string, mode: number) =>
      node(name, common({ type: "fifo", mode: GO_MODE_NAMED_PIPE + mode, content: null }));
    const early = { seconds: 1_000_000_000, nanoseconds: 0, zoneMinutes: 0 };
    const tree = await saveTree(repository, [
      fifo("fifo-1", 0o600),
      fifo("fifo-2", 0o644),
      { ...symlinkTo("symlink-1", "x"), mtime: early },
      symlinkTo("symlink-2", "x"),
    ]);
    const target = await temporaryFolder();
    const outside = await temporaryFolder();
    expect((await run("mkfifo", ["-m", "666", join(outside, "fifo")])).code).toBe(0);
    await symlink("x", join(outside, "symlink"));
    const statusOutside = async () => {
      const statuses = ["fifo", "symlink"].map((name) => lstat(join(outside, name), { bigint: true }));
      return (await Promise.all(statuses)).map(({ mode, mtimeNs }) => ({ mode, mtimeNs }));
    };
    const before = await statusOutside();
    for (const name of ["fifo", "symlink"])
      for (const number of [1, 2]) await link(join(outside, name), join(target, `${name}-${number}`));
    expect((await restoreTo(repository, tree, target)).summary).toMatchObject({ errors: 0, warnings: 0 });
    const modeOf = async (name: string) => (await lstat(join(target, name))).mode & 0o777;
    const secondOf = async (name: string) => Math.floor((await lstat(join(target, name))).mtimeMs / 1000);
    expect([await modeOf("fifo-1"), await modeOf("fifo-2")]).toEqual([0o600, 0o644]);
    expect([await secondOf("symlink-1"), await secondOf("symlink-2")]).toEqual([
      1_000_000_000, 1_600_000_000,
    ]);
    expect(await statusOutside()).toEqual(before);
  });

  itWhere(process.getuid?.() === 0 && loadAddon() !== undefined)(
    "removes of a link that is right what --exclude-xattr leaves to the snapshot, and nothing else",
    async () => {
      const repository = await createRepository();
      const tree = await saveTree(repository, [symlinkTo("symlink", "x")]);
      const target = await temporaryFolder();
      const path = join(target, "symlink");
      await symlink("x", path);
      for (const name of ["trusted.old", "trusted.kept"])
        expect((await run("setfattr", ["-h", "-n", name, "-v", "y", path])).code).toBe(0);
      const selectXattr = (name: string) => name !== "trusted.kept";
      const { summary } = await restoreTo(repository, tree, target, { selectXattr });
      expect(summary).toMatchObject({ errors: 0, warnings: 0 });
      const { stdout } = await run("getfattr", ["-h", "-m", "-", "--absolute-names", path]);
      expect(stdout.split("\n").filter((line) => line.startsWith("trusted."))).toEqual(["trusted.kept"]);
    },
  );

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
