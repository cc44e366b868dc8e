import { chmodSync, mkdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type BackupEvent,
  type BackupOptions,
  BackupProgress,
  type BackupSummary,
  backup,
  rawPath,
} from "../../src/archiver/mod.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { equalIds, formatId, parseId } from "../../src/bytes/id.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import type { TreeNode } from "../../src/format/node.js";
import type { BlobLoader } from "../../src/repository/blob-loader.js";
import { loadTree } from "../../src/repository/load-tree.js";
import { Repository } from "../../src/repository/repository.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { noise } from "../support/make-zoo.js";
import { temporaryFolder } from "../support/temporary.js";

const HOUR = 3600;

describe("backup", () => {
  let repository: Repository;
  let folder: string;

  beforeAll(async () => {
    repository = await Repository.create(new MemoryBackend(), await loadEngine(), { password: "geheim" });
  });

  beforeEach(async () => {
    folder = await temporaryFolder();
    mkdirSync(join(folder, "data/sub"), { recursive: true });
    writeFileSync(join(folder, "data/file"), "content");
    writeFileSync(join(folder, "data/sub/other"), "other content");
  });

  const save = (options: Partial<BackupOptions> = {}, events: BackupEvent[] = []) =>
    backup(
      repository,
      { targets: [join(folder, "data")], programVersion: "yore test", reportItems: true, ...options },
      { on: (event) => events.push(event) },
    );

  const treeOfData = async ({ snapshotId }: BackupSummary): Promise<string> => {
    const snapshot = (await listSnapshots(repository)).find(({ id }) => formatId(id) === snapshotId)!;
    let { tree } = snapshot;
    for (const name of join(folder, "data").split("/").slice(1)) {
      const nodes = await loadTree(repository, tree);
      tree = nodes.find((node) => node.name.toString() === name)!.subtree!;
    }
    return formatId(tree);
  };

  /** The nodes of `data`. */
  const savedNodes = async (summary: BackupSummary): Promise<Map<string, TreeNode>> => {
    const nodes = await loadTree(repository, parseId(await treeOfData(summary))!);
    return new Map(nodes.map((node) => [node.name.toString(), node]));
  };

  it("takes files as unchanged by size, times and inode number", async () => {
    await save();
    const path = join(folder, "data/file");
    expect(await save()).toMatchObject({ filesUnmodified: 2, filesChanged: 0, filesNew: 0 });
    chmodSync(path, 0o600); // another ctime
    expect(await save()).toMatchObject({ filesUnmodified: 1, filesChanged: 1, dataBlobs: 0 });
    utimesSync(path, 1, 1);
    expect(await save()).toMatchObject({ filesUnmodified: 1, filesChanged: 1 });
    writeFileSync(path, "longer content");
    expect(await save()).toMatchObject({ filesUnmodified: 1, filesChanged: 1, dataBlobs: 1 });
  });

  it("looks past change times and inode numbers when it is told to, and past everything by force", async () => {
    const path = join(folder, "data/file");
    utimesSync(path, 1, 1);
    await save();
    writeFileSync(`${path}.new`, "CONTENT");
    utimesSync(`${path}.new`, 1, 1);
    renameSync(`${path}.new`, path); // another inode and ctime, the same size and mtime
    const unread = await save({ ignoreInode: true });
    expect(unread).toMatchObject({ filesUnmodified: 2, dataBlobs: 0 });
    expect(await save({ parent: null, dryRun: true })).toMatchObject({ filesNew: 2, dataBlobs: 1 });
    await save();
    chmodSync(path, 0o600);
    expect(await save({ ignoreCtime: true, dryRun: true })).toMatchObject({ filesUnmodified: 2 });
    expect(await save({ dryRun: true })).toMatchObject({ filesChanged: 1 });
  });

  it("makes the same tree of what is as in the parent as one that looks at every object", async () => {
    const at = (...names: string[]) => join(folder, "data", ...names);
    for (const name of ["a/b/c", "a/d", "e", 'odd "name"', "gr\u00fcn", "sub/empty"])
      mkdirSync(at(name), { recursive: true });
    for (const name of ["a/b/c/file", "a/d/file", "e/file", 'odd "name"/file', "gr\u00fcn/\u00e4", "a/last"])
      writeFileSync(at(name), `content of ${name}`);
    const changes: [change: () => void, modified: { files?: number; dirs: number }][] = [
      [() => {}, { dirs: 0 }],
      [() => writeFileSync(at("a/b/c/file"), "changed"), { files: 1, dirs: 3 }],
      [() => chmodSync(at("a/d"), 0o700), { dirs: 2 }],
      [() => rmSync(at("a/b"), { recursive: true }), { dirs: 1 }],
      [() => rmSync(at("e/file")), { dirs: 1 }],
      [() => writeFileSync(at('odd "name"/file'), "changed"), { files: 1, dirs: 1 }],
      [() => renameSync(at("sub/empty"), at("sub/new")), { dirs: 1 }],
    ];
    await save();
    for (const [change, { files = 0, dirs }] of changes) {
      change();
      const careful = await save({ dryRun: true });
      const quick = await save({ reportItems: false });
      for (const key of [
        "filesNew",
        "filesChanged",
        "filesUnmodified",
        "dirsNew",
        "totalBytesProcessed",
      ] as const)
        expect(quick[key], `${change} ${key}`).toBe(careful[key]);
      expect(quick.dirsChanged + quick.dirsUnmodified).toBe(careful.dirsChanged + careful.dirsUnmodified);
      expect(quick).toMatchObject({ filesChanged: files });
      // Others may write to the folders above, which are passed through and count as well.
      const above = join(folder, "data").split("/").length - 1;
      expect(quick.dirsChanged, String(change)).toBeGreaterThanOrEqual(dirs);
      expect(quick.dirsChanged, String(change)).toBeLessThanOrEqual(dirs + above);
      const again = await save({ parent: null });
      expect(await treeOfData(quick), String(change)).toBe(await treeOfData(again));
    }
  });

  it("loses nothing when a tree of the parent cannot be read again", async () => {
    mkdirSync(join(folder, "data/sub/inner/below"), { recursive: true });
    for (const name of ["inner/changes", "inner/below/stays", "last"])
      writeFileSync(join(folder, "data/sub", name), name);
    const before = await save({ reportItems: false });
    const sub = (await savedNodes(before)).get("sub")!.subtree!;
    writeFileSync(join(folder, "data/sub/inner/changes"), "another content");
    const events: BackupEvent[] = [];
    let loads = 0;
    const inOrder: BlobLoader = {
      blobSize: (type, id) => repository.blobSize(type, id),
      loadBlob: async (type, id, signal) => {
        if (!equalIds(id, sub) || ++loads === 1) return repository.loadBlob(type, id, signal);
        throw new Error("the line is dead");
      },
    };
    Object.defineProperty(repository, "inOrder", { value: inOrder, configurable: true });
    const summary = await save({ reportItems: false }, events);
    Reflect.deleteProperty(repository, "inOrder");
    expect(loads).toBe(2);
    expect(events.filter(({ type }) => type === "error")).toEqual([
      expect.objectContaining({
        error: expect.objectContaining({ message: expect.stringContaining("line is dead") }),
      }),
    ]);
    expect(await treeOfData(summary)).toBe(await treeOfData(await save({ parent: null })));
  });

  it("leaves out what a new rule excludes, though nothing has changed", async () => {
    await save({ reportItems: false });
    const excluded = rawPath(join(folder, "data/sub"));
    const summary = await save({ reportItems: false, rules: { excludedFolders: [excluded] } });
    expect([...(await savedNodes(summary)).keys()]).toEqual(["file"]);
  });

  it("saves nothing in a dry run, and says what it would", async () => {
    writeFileSync(join(folder, "data/new"), noise(1_500_000, 4));
    const count = async () => (await listSnapshots(repository)).length;
    const before = await count();
    const dry = await save({ dryRun: true });
    expect(await count()).toBe(before);
    const wet = await save();
    for (const field of ["dataBlobs", "treeBlobs", "filesNew", "filesUnmodified"] as const)
      expect(dry[field], field).toBe(wet[field]);
    // The times of the folders above change meanwhile, and are more or fewer digits then.
    for (const field of ["dataAdded", "dataAddedPacked"] as const)
      expect(Math.abs(dry[field] - wet[field]), field).toBeLessThan(100);
    expect(dry).toMatchObject({ snapshotId: undefined, dryRun: true });
  });

  it("chooses as parent the newest of the group that is not newer than itself", async () => {
    const at = (hours: number) => ({ seconds: 2_000_000_000 + hours * HOUR, nanoseconds: 0, zoneMinutes: 0 });
    const parentOf = async (options: Partial<BackupOptions>) => {
      const events: BackupEvent[] = [];
      await save({ dryRun: true, ...options }, events);
      return events.flatMap((event) => (event.type === "parent" ? [event.id] : []))[0];
    };
    const { snapshotId: early } = await save({ time: at(1), host: "one", tags: ["a"] });
    const { snapshotId: late } = await save({ time: at(3), host: "two", tags: ["b"] });
    expect(await parentOf({ time: at(9), host: "one" })).toBe(early);
    expect(await parentOf({ time: at(9), host: "two" })).toBe(late);
    expect(await parentOf({ time: at(2), host: "two" })).toBeUndefined();
    const groups = { host: false, paths: true, tags: false };
    expect(await parentOf({ time: at(9), host: "three", parent: { groupBy: groups } })).toBe(late);
    expect(await parentOf({ time: at(2), host: "three", parent: { groupBy: groups } })).toBe(early);
    const byTags = { parent: { groupBy: { ...groups, tags: true } } };
    expect(await parentOf({ time: at(9), tags: ["a"], ...byTags })).toBe(early);
    const named = { parent: { groupBy: groups, snapshot: early!.slice(0, 12) } };
    expect(await parentOf({ time: at(9), ...named })).toBe(early);
    const wrong = { parent: { groupBy: groups, snapshot: "0123456789" } };
    await expect(save(wrong)).rejects.toMatchObject({ code: "not-found" });
  });

  it("cuts holes into the same chunks as zeros", async () => {
    const content = Buffer.alloc(9_000_000);
    noise(700_000, 9).copy(content, 3_333_333);
    writeFileSync(join(folder, "data/zeros"), content);
    writeFileSync(join(folder, "data/holes"), "");
    truncateSync(join(folder, "data/holes"), 3_333_333);
    writeFileSync(join(folder, "data/holes"), noise(700_000, 9), { flag: "a" });
    truncateSync(join(folder, "data/holes"), 9_000_000);
    const nodes = await savedNodes(await save());
    expect(nodes.get("holes")!.size).toBe(9_000_000);
    expect(equalIds(nodes.get("holes")!.content!.bytes, nodes.get("zeros")!.content!.bytes)).toBe(true);
  });

  it("keeps access times only when it is told to", async () => {
    utimesSync(join(folder, "data/file"), 1_000, 2_000);
    const without = (await savedNodes(await save({ parent: null }))).get("file")!;
    expect([without.atime.seconds, without.mtime.seconds]).toEqual([2_000, 2_000]);
    const withAtime = await save({ parent: null, withAtime: true });
    expect((await savedNodes(withAtime)).get("file")!.atime.seconds).toBe(1_000);
  });

  it("counts as it goes, and reports each object once", async () => {
    const progress = new BackupProgress();
    const events: BackupEvent[] = [];
    const options = { targets: [join(folder, "data")], parent: null, programVersion: "t", reportItems: true };
    const summary = await backup(repository, options, { progress, on: (event) => events.push(event) });
    expect(progress).toMatchObject({ filesDone: 2, bytesDone: 20, errors: 0 });
    expect(progress.currentFiles.size).toBe(0);
    const items = events.flatMap((event) => (event.type === "item" ? [event.item] : []));
    for (const name of ["/data/file", "/data/sub/other", "/data/sub/", "/data/"])
      expect(items.filter((item) => item === folder + name)).toHaveLength(1);
    expect(summary).toMatchObject({ totalFilesProcessed: 2, totalBytesProcessed: 20, errors: 0 });
  });

  it("stops at a signal, and makes no snapshot", async () => {
    for (let i = 0; i < 20; i++) writeFileSync(join(folder, "data", `large ${i}`), noise(3_000_000, 500 + i));
    const count = (await listSnapshots(repository)).length;
    const stop = new AbortController();
    const on = (event: BackupEvent) => event.type === "item" && stop.abort();
    const options = { targets: [join(folder, "data")], programVersion: "t", reportItems: true };
    await expect(backup(repository, options, { signal: stop.signal, on })).rejects.toMatchObject({
      code: "interrupted",
    });
    expect((await listSnapshots(repository)).length).toBe(count);
    expect(await save()).toMatchObject({ errors: 0 });
  });

  it("stops when the signal fires while a command that prints nothing more is waited for", async () => {
    const controller = new AbortController();
    const finished = () => {
      controller.abort();
      return new Promise<void>(() => {});
    };
    const virtualFile = {
      path: rawPath("/out"),
      stream: Readable.from([Buffer.from("x")]),
      source: "stdin",
      finished,
    };
    const work = backup(
      repository,
      { targets: [], virtualFile, parent: null, programVersion: "t" },
      { signal: controller.signal },
    );
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
  });

  it("stops reading a stream that never ends", async () => {
    const stop = new AbortController();
    const stream = new Readable({ read() {} });
    stream.push("some");
    const virtualFile = { path: rawPath("/stream"), stream, source: "stdin" };
    const work = backup(
      repository,
      { targets: [], virtualFile, parent: null, programVersion: "t" },
      { signal: stop.signal, on: (event) => event.type === "parent" && setImmediate(() => stop.abort()) },
    );
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
  });

  it("refuses to make an empty snapshot", async () => {
    await expect(save({ targets: [] })).rejects.toMatchObject({ code: "usage" });
    mkdirSync(join(folder, "empty"));
    const patterns = { targets: [`${folder}/data/sub/../../empty/.`] };
    // A named directory is something, also when it is empty.
    expect(await save(patterns)).toMatchObject({ totalFilesProcessed: 0 });
  });
});
