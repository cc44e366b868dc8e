import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { formatId, type Id, IdList } from "../../src/bytes/id.js";
import { BlobCache } from "../../src/cache/blob-cache.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { YoreError } from "../../src/errors.js";
import { encodeTree } from "../../src/format/tree.js";
import { type Entry, ROOT_NODE } from "../../src/fuse/filesystem.js";
import { SnapshotFilesystem } from "../../src/snapfs/snapshot-filesystem.js";
import { MemoryLoader } from "../cache/memory-loader.js";
import {
  createRepository,
  node,
  openRepository,
  saveTree,
  snapshotOf,
  wrapBackend,
} from "../repository/support.js";
import { countAlive } from "../support/collect-garbage.js";

const BLOB_BYTES = 100_000;
const NO_SIGNAL = () => new AbortController().signal;

/** A snapshot of one file, whose cache has room for so many blobs of it, or for others. */
async function fileOf(blobs: number) {
  const loader = new MemoryLoader();
  const content = randomBytes(blobs * BLOB_BYTES);
  const ids = Array.from({ length: blobs }, (_, i) =>
    loader.add("data", content.subarray(i * BLOB_BYTES, (i + 1) * BLOB_BYTES)),
  );
  const tree = loader.add(
    "tree",
    encodeTree([node("file", { size: content.length, content: IdList.from(ids) })]),
  );
  const cache = new BlobCache(loader, { maxBytes: blobs * (BLOB_BYTES + 1000) });
  // Keeps two trees, of whatever size.
  const trees = new TreeCache(loader, { maxBytes: 1 });
  const filesystem = new SnapshotFilesystem({ list: async () => [] }, cache, trees, {
    root: { snapshot: { ...snapshotOf(tree), id: tree }, tree },
  });
  const file = (await filesystem.lookup(ROOT_NODE, Buffer.from("file"))) as Entry;
  return {
    content,
    read: () => filesystem.read(file.nodeId, 0, content.length, NO_SIGNAL),
    /** What the directory is in memory. */
    treeMemory: () => new WeakRef(trees.peek(tree)!.memory.buffer),
    forgetTree: async () => {
      for (const name of ["x", "y"]) await trees.load(loader.add("tree", encodeTree([node(name)])));
    },
    /** Loads other blobs, which push out those of the file. */
    pushOut: () =>
      cache.loadAhead(
        "data",
        ids.map(() => loader.add("data", randomBytes(BLOB_BYTES))),
      ),
  };
}

describe("a file whose directory has to be loaded again", () => {
  it.each([1, 2])("has its own bytes, whatever else is loaded meanwhile: %i blobs", async (blobs) => {
    for (let turns = 0; turns < 30; turns++) {
      const { content, read, forgetTree, pushOut } = await fileOf(blobs);
      await read();
      // What is borrowed is pinned until then.
      await nextTurn();
      await forgetTree();
      const reading = read();
      expect(reading).toBeInstanceOf(Promise);
      const checked = (reading as Promise<readonly Uint8Array[]>).then((pieces) =>
        Buffer.concat(pieces).equals(content),
      );
      // A turn of the promises later each time: once it comes between the answer and who waits for it.
      for (let turn = 0; turn < turns; turn++) await undefined;
      const isPushedOut = pushOut();
      expect(await checked).toBe(true);
      await isPushedOut;
    }
  });
});

describe("a file that lacks a blob which its size does not count", () => {
  it.each([
    ["behind what is there", 1, 12],
    ["alone", 0, 0],
  ])("is not read as if it were whole: %s", async (_where, known, size) => {
    const loader = new MemoryLoader();
    const there = Array.from({ length: known }, () => loader.add("data", "hello world\n"));
    const content = IdList.from([...there, Buffer.alloc(32, 7) as Uint8Array as Id]);
    const tree = loader.add("tree", encodeTree([node("file", { size, content })]));
    const filesystem = new SnapshotFilesystem(
      { list: async () => [] },
      new BlobCache(loader),
      new TreeCache(loader),
      { root: { snapshot: { ...snapshotOf(tree), id: tree }, tree } },
    );
    const file = (await filesystem.lookup(ROOT_NODE, Buffer.from("file"))) as Entry;
    // The kernel asks for no byte behind the size.
    const shown = file.attributes.size;
    expect(shown).toBeGreaterThan(size);
    await expect(async () => filesystem.read(file.nodeId, 0, shown, NO_SIGNAL)).rejects.toThrow(
      "no index knows it",
    );
  });
});

describe("a file of several blobs", () => {
  it("that was read keeps no directory in memory", async () => {
    const { read, treeMemory, forgetTree } = await fileOf(2);
    await read();
    const memory = treeMemory();
    expect(await countAlive([memory])).toBe(1);
    await forgetTree();
    expect(await countAlive([memory])).toBe(0);
  });
});

describe("a file of which the index knows only the last blob", () => {
  const content = randomBytes(3 * BLOB_BYTES);

  /** Reads it, once the index file of the others can be loaded, or not. */
  async function readFile(isThere: boolean): Promise<Buffer> {
    const inner = new MemoryBackend();
    const writer = await createRepository({}, inner);
    const ids: Id[] = [];
    for (let at = 0; at < content.length; at += BLOB_BYTES) {
      if (ids.length === 2) await writer.flush();
      ids.push((await writer.saveBlob("data", content.subarray(at, at + BLOB_BYTES))).id);
    }
    const [lost] = writer.indexIds.map(formatId);
    const fields = { size: content.length, content: IdList.from(ids) };
    const tree = await saveTree(writer, [node("file", fields)]);
    await writer.flush();
    let isReadable = false;
    const backend = wrapBackend(inner, {
      load: async (handle, range) => {
        if (handle.name === lost && !isReadable) throw new YoreError("backend", "Cannot load: no answer");
        return inner.load(handle, range);
      },
    });
    const reader = await openRepository(backend);
    expect(reader.indexProblems).toHaveLength(1);
    isReadable = isThere;
    const caches = [new BlobCache(reader), new TreeCache(reader)] as const;
    const root = { snapshot: { ...snapshotOf(tree), id: tree }, tree };
    const filesystem = new SnapshotFilesystem({ list: async () => [] }, ...caches, { root });
    const { nodeId } = (await filesystem.lookup(ROOT_NODE, Buffer.from("file"))) as Entry;
    return Buffer.concat(await filesystem.read(nodeId, 0, content.length, NO_SIGNAL));
  }

  it("is whole when the index can be loaded by now", async () => {
    expect((await readFile(true)).equals(content)).toBe(true);
  });

  it("says what is missing when it cannot", async () => {
    await expect(readFile(false)).rejects.toMatchObject({
      code: "damaged",
      message: expect.stringContaining("no index knows it or its neighbours"),
    });
  });
});
