/** Contents that are handed to the kernel before they are asked for, with a real repository and a kernel that keeps them. */

import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import type { Id } from "../../src/bytes/id.js";
import { BlobCache } from "../../src/cache/blob-cache.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { loadEngine } from "../../src/engine/load-engine.js";
import type { BlobType } from "../../src/format/blob.js";
import { type Entry, type FileContents, type NodeId, ROOT_NODE } from "../../src/fuse/filesystem.js";
import type { BlobLoader, SizedBlob } from "../../src/repository/blob-loader.js";
import { Repository } from "../../src/repository/repository.js";
import { listSnapshots } from "../../src/repository/snapshots.js";
import { SnapshotFilesystem } from "../../src/snapfs/snapshot-filesystem.js";
import { backUp, PASSWORD } from "../mount/mounting.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const DIRECTORIES = 40;
const FILES = 12;
const NO_SIGNAL = () => new AbortController().signal;

/** Loads one blob at a time, and knows when all have come. `change` is what becomes of a plaintext. */
class CountingLoader implements BlobLoader {
  readonly #repository: Repository;
  readonly #change: (plaintext: Uint8Array) => Uint8Array;
  #underWay = 0;

  constructor(repository: Repository, change: (plaintext: Uint8Array) => Uint8Array = (same) => same) {
    this.#repository = repository;
    this.#change = change;
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#repository.blobSize(type, id);
  }

  following(type: BlobType, id: Id, maxBytes: number): SizedBlob[] {
    return this.#repository.following(type, id, maxBytes);
  }

  async loadBlob(type: BlobType, id: Id): Promise<Uint8Array> {
    this.#underWay++;
    try {
      return this.#change(await this.#repository.loadBlob(type, id));
    } finally {
      this.#underWay--;
    }
  }

  /** Resolves when nothing is on its way any more, and those who waited have had their turn. */
  async settled(): Promise<void> {
    do await setImmediate();
    while (this.#underWay > 0);
    await setImmediate();
  }
}

/** A kernel, and a program that walks through the mount. */
class Walker {
  readonly filesystem: SnapshotFilesystem;
  readonly loader: CountingLoader;
  readonly stored = new Map<NodeId, Buffer>();
  readonly known = new Set<NodeId>();
  reads = 0;

  constructor(filesystem: SnapshotFilesystem, loader: CountingLoader) {
    this.filesystem = filesystem;
    this.loader = loader;
    const store = (files: FileContents) => this.#store(files);
    filesystem.start({ invalidateEntry() {}, invalidateNode() {}, store });
  }

  #store({ nodes, offsets, contents }: FileContents): number {
    for (const [i, node] of nodes.entries()) {
      expect(offsets[i]).toBe(0);
      expect(this.known.has(node)).toBe(true);
      this.stored.set(node, Buffer.from(contents[i]!));
    }
    return nodes.length;
  }

  async lookup(path: string): Promise<NodeId> {
    let node: NodeId = ROOT_NODE;
    for (const name of path.split("/").filter(Boolean)) {
      const found = (await this.filesystem.lookup(node, Buffer.from(name))) as Entry;
      node = found.nodeId;
    }
    return node;
  }

  async list(node: NodeId): Promise<Map<string, Entry>> {
    const listing = await this.filesystem.list(node);
    const entries = new Map<string, Entry>();
    for (let i = 0; i < listing.length; i++) {
      const entry = listing.entry(i)!;
      this.known.add(entry.nodeId);
      entries.set(listing.name(i).toString(), entry);
    }
    this.filesystem.listed(node);
    return entries;
  }

  async read({ nodeId, attributes }: Entry): Promise<Buffer> {
    const stored = this.stored.get(nodeId);
    if (stored) return stored;
    this.reads++;
    return Buffer.concat(await this.filesystem.read(nodeId, 0, attributes.size, NO_SIGNAL));
  }
}

describe.skipIf(missingPeer("restic"))("contents of small files", () => {
  let folder: string;
  let repository: Repository;

  beforeAll(async () => {
    folder = join(await temporaryFolder(), "data");
    for (let i = 0; i < DIRECTORIES; i++) {
      const directory = join(folder, `d${String(i).padStart(2, "0")}`);
      await mkdir(directory, { recursive: true });
      for (let j = 0; j < FILES; j++)
        await writeFile(join(directory, `f${j}`), randomBytes((i * 977 + j * 3001) % 20_000));
    }
    const path = await backUp(folder);
    repository = await Repository.open(await LocalBackend.open(path), await loadEngine(), {
      password: PASSWORD,
    });
    await repository.loadIndex();
  });

  const walker = async (loader = new CountingLoader(repository)) => {
    const snapshots = await listSnapshots(repository);
    const filesystem = new SnapshotFilesystem(
      { list: async () => snapshots },
      new BlobCache(loader),
      new TreeCache(repository),
      { root: { snapshot: snapshots[0]!, tree: snapshots[0]!.tree } },
    );
    return new Walker(filesystem, loader);
  };

  it("reach the kernel before they are asked for, each whole and right", async () => {
    const walk = await walker();
    const top = await walk.lookup(folder);
    let inAll = 0;
    for (const [name, directory] of await walk.list(top)) {
      for (const [file, entry] of await walk.list(directory.nodeId)) {
        const content = await walk.read(entry);
        expect(content.equals(await readFile(join(folder, name, file)))).toBe(true);
        expect(content.length).toBe(entry.attributes.size);
        inAll++;
      }
      await walk.loader.settled();
    }
    expect(inAll).toBe(DIRECTORIES * FILES);
    expect(walk.reads).toBeLessThan(inAll / 4);
  });

  it("stay where they are while somebody only lists, and soon after somebody has begun to", async () => {
    const walk = await walker();
    const directories = [...(await walk.list(await walk.lookup(folder))).values()];
    for (const { nodeId } of directories) await walk.list(nodeId);
    await walk.loader.settled();
    expect(walk.stored.size).toBe(0);
    for (const { nodeId } of directories.slice(0, 10)) {
      for (const entry of (await walk.list(nodeId)).values()) await walk.read(entry);
      await walk.loader.settled();
    }
    expect(walk.stored.size).toBeGreaterThan(0);
    for (const { nodeId } of directories.slice(10, 25)) await walk.list(nodeId);
    await walk.loader.settled();
    const before = walk.stored.size;
    for (const { nodeId } of directories.slice(25)) await walk.list(nodeId);
    await walk.loader.settled();
    expect(walk.stored.size).toBe(before);
  });

  it("are not handed over when they cannot be loaded, or are not as long as they should be", async () => {
    const broken = new CountingLoader(repository, (plaintext) => {
      if (plaintext.length % 3 === 0) throw new Error("cannot be loaded");
      return plaintext.length % 3 === 1 ? Buffer.concat([plaintext, Buffer.from("x")]) : plaintext;
    });
    const walk = await walker(broken);
    for (const [name, directory] of await walk.list(await walk.lookup(folder))) {
      for (const [file, entry] of await walk.list(directory.nodeId)) {
        await walk.read(entry).catch(() => undefined);
        const stored = walk.stored.get(entry.nodeId);
        if (stored) expect(stored.equals(await readFile(join(folder, name, file)))).toBe(true);
      }
      await walk.loader.settled();
    }
    expect(walk.stored.size).toBeGreaterThan(0);
    expect((await readdir(folder)).length).toBe(DIRECTORIES);
  });
});
