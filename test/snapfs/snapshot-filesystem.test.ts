import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatShortId } from "../../src/bytes/id.js";
import { BlobCache } from "../../src/cache/blob-cache.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import type { LoadedSnapshot } from "../../src/format/snapshot.js";
import { type Entry, FOREVER, type NodeId, ROOT_NODE } from "../../src/fuse/filesystem.js";
import { Repository } from "../../src/repository/repository.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { SnapshotFilesystem, type SnapshotFilesystemOptions } from "../../src/snapfs/snapshot-filesystem.js";
import { backUp, output, PASSWORD, restic } from "../mount/mounting.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const NO_SIGNAL = () => new AbortController().signal;

describe.skipIf(missingPeer("restic"))("SnapshotFilesystem", () => {
  let folder: string;
  let repository: Repository;
  let snapshots: LoadedSnapshot[];

  beforeAll(async () => {
    folder = join(await temporaryFolder(), "data");
    await output('mkdir -p "$1/sub/deep" && echo one > "$1/file" && ln -s file "$1/link"', folder);
    const path = await backUp(folder);
    await output('echo two > "$1/file"', folder);
    await restic(path, "backup", "-q", folder);
    repository = await Repository.open(await LocalBackend.open(path), await loadEngine(), {
      password: PASSWORD,
    });
    await repository.loadIndex();
    snapshots = await listSnapshots(repository);
  });

  const make = (list: () => Promise<readonly LoadedSnapshot[]>, options: SnapshotFilesystemOptions = {}) =>
    new SnapshotFilesystem({ list }, new BlobCache(repository), new TreeCache(repository), options);

  /** Walks to a path; what is on the way is given back. */
  const find = async (filesystem: SnapshotFilesystem, path: string): Promise<Entry | undefined> => {
    let node: NodeId = ROOT_NODE;
    let found: Entry | undefined;
    for (const name of path.split("/").filter((part) => part !== "")) {
      const next = await filesystem.lookup(node, Buffer.from(name));
      if (found) filesystem.forget(found.nodeId, 1);
      if (next.nodeId === 0) return undefined;
      found = next as Entry;
      node = found.nodeId;
    }
    return found;
  };

  it("gives everything back that it handed out", async () => {
    const filesystem = make(async () => snapshots);
    await filesystem.refresh();
    const file = (await find(filesystem, `snapshots/latest`))!;
    filesystem.forget(file.nodeId, 1);
    const name = `ids/${Buffer.from(snapshots[0]!.id).toString("hex", 0, 4)}${folder}/file`;
    const entry = (await find(filesystem, name))!;
    expect(entry.ttlMs).toBe(FOREVER);
    expect(String(Buffer.concat(await filesystem.read(entry.nodeId, 0, 100, NO_SIGNAL)))).toBe("one\n");
    expect(String(Buffer.concat(await filesystem.read(entry.nodeId, 2, 1, NO_SIGNAL)))).toBe("e");
    expect(await filesystem.read(entry.nodeId, 4, 10, NO_SIGNAL)).toEqual([]);
    expect(filesystem.nodeCount).toBeGreaterThan(3);
    filesystem.forget(entry.nodeId, 1);
    expect(filesystem.nodeCount).toBe(1);
  });

  it("answers from memory without a promise, absence for ever included", async () => {
    const filesystem = make(async () => snapshots);
    await filesystem.refresh();
    const parent = (await find(
      filesystem,
      `ids/${Buffer.from(snapshots[0]!.id).toString("hex", 0, 4)}${folder}`,
    ))!;
    await filesystem.list(parent.nodeId);
    const absent = filesystem.lookup(parent.nodeId, Buffer.from("missing"));
    expect(absent).toEqual({ nodeId: 0, ttlMs: FOREVER });
    const found = filesystem.lookup(parent.nodeId, Buffer.from("link")) as Entry;
    expect(String(filesystem.readlink(found.nodeId))).toBe("file");
    expect(filesystem.parent(found.nodeId)).toBe(parent.nodeId);
  });

  it("knows nlink of a directory from the first answer on", async () => {
    const filesystem = make(async () => snapshots);
    await filesystem.refresh();
    const top = (await find(
      filesystem,
      `ids/${Buffer.from(snapshots[1]!.id).toString("hex", 0, 4)}${folder}`,
    ))!;
    expect(top.attributes.nlink).toBe(3);
    const root = await filesystem.getattr(ROOT_NODE);
    expect(root.attributes).toMatchObject({ ino: 1n, nlink: 6, mode: 0o040555 });
  });

  it("refresh tells the kernel what is new, and only that", async () => {
    let shown = snapshots.slice(0, 1);
    const told: string[] = [];
    const filesystem = make(async () => shown);
    filesystem.start({
      invalidateEntry: (parent, name) => told.push(`${parent} ${name}`),
      invalidateNode: (node) => told.push(`${node}`),
    });
    await filesystem.refresh();
    told.length = 0;
    const directory = (await find(filesystem, "snapshots"))!;
    const before = (await filesystem.lookup(directory.nodeId, Buffer.from("latest"))) as Entry;
    const target = String(await filesystem.readlink(before.nodeId));
    shown = snapshots;
    await filesystem.refresh();
    await filesystem.refresh();
    expect(told.toSorted()).toHaveLength(3);
    expect(told).toContain(`${directory.nodeId} latest`);
    expect(told.at(-1)).toBe(`${directory.nodeId}`);
    const after = (await filesystem.lookup(directory.nodeId, Buffer.from("latest"))) as Entry;
    expect(after.nodeId).not.toBe(before.nodeId);
    expect(String(await filesystem.readlink(after.nodeId))).not.toBe(target);
    expect(String(await filesystem.readlink(before.nodeId))).toBe(target);
  });

  it("refresh tells the kernel that a directory has other attributes, whose names it never asked for", async () => {
    let shown = snapshots.slice(0, 1);
    const told: string[] = [];
    const filesystem = make(async () => shown);
    filesystem.start({
      invalidateEntry: (parent, name) => told.push(`${parent} ${name}`),
      invalidateNode: (node) => told.push(`${node}`),
    });
    await filesystem.refresh();
    const directory = (await find(filesystem, "ids"))!;
    expect(directory.attributes.nlink).toBe(3);
    told.length = 0;
    shown = snapshots;
    await filesystem.refresh();
    expect(told).toEqual([`${directory.nodeId}`]);
    expect((await filesystem.getattr(directory.nodeId)).attributes.nlink).toBe(4);
  });

  it("takes a directory that went and came again for another one, while somebody stays in the first", async () => {
    let shown: readonly LoadedSnapshot[] = [];
    const told: string[] = [];
    const filesystem = make(async () => shown, { pathTemplates: ["hosts/%h/%i"] });
    filesystem.start({
      invalidateEntry: (parent, name) => told.push(`${parent} ${name}`),
      invalidateNode: () => undefined,
    });
    const show = (list: readonly LoadedSnapshot[]) => {
      told.length = 0;
      shown = list;
      return filesystem.refresh();
    };
    const path = `hosts/${snapshots[0]!.hostname}`;
    const names = snapshots.map(({ id }) => formatShortId(id));
    const namesIn = async ({ nodeId }: Entry) => {
      const listing = await filesystem.list(nodeId);
      return Array.from({ length: listing.length }, (_, i) => String(listing.name(i)));
    };
    await show(snapshots.slice(0, 1));
    const before = (await find(filesystem, path))!;
    expect(await namesIn(before)).toEqual([names[0]]);
    await show([]);
    expect(await find(filesystem, path)).toBeUndefined();
    await show(snapshots.slice(1, 2));
    const after = (await find(filesystem, path))!;
    expect(after.nodeId).not.toBe(before.nodeId);
    expect(await namesIn(after)).toEqual([names[1]]);
    expect(await namesIn(before)).toEqual([names[0]]);
    filesystem.forget(before.nodeId, 1);
    await show(snapshots.slice(0, 1));
    expect(told.toSorted()).toEqual(names.map((name) => `${after.nodeId} ${name}`).toSorted());
    expect(await namesIn(after)).toEqual([names[0]]);
    filesystem.forget(after.nodeId, 1);
    expect(filesystem.nodeCount).toBe(1);
  });

  it("says that nothing above the content of a snapshot has extended attributes", async () => {
    const plain = new Set<NodeId>();
    const filesystem = make(async () => snapshots);
    filesystem.start({
      invalidateEntry: () => undefined,
      invalidateNode: () => undefined,
      withoutAttributes: (nodes) => {
        for (const node of nodes) plain.add(node);
      },
    });
    await filesystem.refresh();
    const directory = (await find(filesystem, "snapshots"))!;
    const listing = await filesystem.list(directory.nodeId);
    const entries = Array.from({ length: listing.length }, (_, i) => listing.entry(i)!);
    expect(entries).toHaveLength(3);
    expect(plain).toEqual(new Set([directory, ...entries].map(({ nodeId }) => nodeId)));
    for (const { nodeId } of entries) expect(await filesystem.listxattr(nodeId)).toEqual([]);
  });

  it("keeps the old list when there is none to be had", async () => {
    let fails = false;
    const filesystem = make(async () => {
      if (fails) throw new Error("network down");
      return snapshots;
    });
    await filesystem.refresh();
    fails = true;
    await expect(filesystem.refresh()).rejects.toThrow("network down");
    expect((await filesystem.list((await find(filesystem, "ids"))!.nodeId)).length).toBe(2);
  });

  it("shows one folder at the root", async () => {
    const filesystem = make(async () => [], { root: { snapshot: snapshots[0]!, tree: snapshots[0]!.tree } });
    await filesystem.refresh();
    const entry = (await find(filesystem, `${folder}/file`))!;
    expect(String(Buffer.concat(await filesystem.read(entry.nodeId, 0, 9, NO_SIGNAL)))).toBe("one\n");
    expect((await filesystem.getattr(ROOT_NODE)).attributes.ino).toBe(1n);
  });

  it("lookup of . and .. is counted like any other", async () => {
    const filesystem = make(async () => snapshots);
    await filesystem.refresh();
    const ids = (await filesystem.lookup(ROOT_NODE, Buffer.from("ids"))) as Entry;
    const same = (await filesystem.lookup(ids.nodeId, Buffer.from("."))) as Entry;
    const up = (await filesystem.lookup(ids.nodeId, Buffer.from(".."))) as Entry;
    expect([same.nodeId, up.nodeId]).toEqual([ids.nodeId, ROOT_NODE]);
    filesystem.forget(ids.nodeId, 2);
    expect(filesystem.nodeCount).toBe(1);
  });

  it("refuses what an object cannot do", async () => {
    const filesystem = make(async () => snapshots);
    await filesystem.refresh();
    await expect(async () => filesystem.readlink(ROOT_NODE)).rejects.toMatchObject({ code: "usage" });
    await expect(async () => filesystem.read(ROOT_NODE, 0, 1, NO_SIGNAL)).rejects.toThrow();
    await expect(async () => filesystem.getattr(999 as NodeId)).rejects.toMatchObject({ code: "not-found" });
  });
});
