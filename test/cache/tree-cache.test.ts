import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { formatId, formatShortId, type Id } from "../../src/bytes/id.js";
import type { CompactTree } from "../../src/cache/compact-tree.js";
import { kernelDevice } from "../../src/cache/compact-tree.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import { windowsSafeName } from "../../src/snapfs/safe-name.js";
import { lateJoinerSuite } from "../suites/late-joiner-suite.js";
import { MemoryLoader } from "./memory-loader.js";

const TIMES = {
  mtime: "1966-03-04T05:06:07.000000001Z",
  atime: "2106-02-07T06:28:16Z",
  ctime: "2001-02-03T04:05:06+01:00",
};

/** A tree as some writer stored it: any order, any names. */
function treeOf(loader: MemoryLoader, nodes: readonly object[]): Id {
  const full = nodes.map((node) => ({
    type: "file",
    mode: 0o644,
    ...TIMES,
    uid: 1,
    gid: 2,
    content: [],
    ...node,
  }));
  return loader.add("tree", `${JSON.stringify({ nodes: full })}\n`);
}

const names = (tree: CompactTree) => Array.from({ length: tree.length }, (_, i) => tree.name(i).toString());

describe("TreeCache", () => {
  it("load sorts by bytes, hides what has no kind or no usable name, and lets the later of two win", async () => {
    const loader = new MemoryLoader();
    const id = treeOf(loader, [
      { name: "b", uid: 10 },
      { name: "a" },
      { name: "Z" },
      { name: "\\xff" },
      { name: "odd", type: "irregular", content: null },
      { name: ".." },
      { name: "" },
      { name: "dir/base" },
      { name: "b", uid: 11 },
    ]);
    const tree = await new TreeCache(loader).load(id);
    expect(names(tree)).toEqual(["Z", "a", "b", "base", "\ufffd"]);
    expect(tree.uid(tree.find(Buffer.from("b")))).toBe(11);
    expect(tree.find(Buffer.from([0xff]))).toBe(4);
    expect(tree.find(Buffer.from("nope"))).toBe(-1);
  });

  it("load puts what old writers kept in '.' and '/' in its place", async () => {
    const loader = new MemoryLoader();
    const inner = treeOf(loader, [{ name: "inner" }]);
    const slash = treeOf(loader, [{ name: "home" }]);
    const id = treeOf(loader, [
      { name: ".", type: "dir", content: null, subtree: formatId(inner) },
      { name: "/", type: "dir", content: null, subtree: formatId(slash) },
      { name: "top" },
    ]);
    expect(names(await new TreeCache(loader).load(id))).toEqual(["home", "inner", "top"]);
  });

  it("load keeps every field that a stat shows", async () => {
    const loader = new MemoryLoader();
    const content = ["11".repeat(32), "22".repeat(32)];
    const id = treeOf(
      loader,
      [
        { name: "file", size: 5_000_000_000, links: 2, inode: 18446744073709551615n.toString(), content },
        { name: "dir", type: "dir", mode: 493, content: null, subtree: "33".repeat(32) },
        { name: "link", type: "symlink", linktarget: "to", content: null },
        { name: "dev", type: "chardev", device: 0x1234_0000_0578, content: null },
      ].map((node) => (node.name === "file" ? { ...node, inode: 4711 } : node)),
    );
    const cache = new TreeCache(loader);
    expect(cache.subdirectories(id)).toBeUndefined();
    const tree = await cache.load(id);
    expect(cache.subdirectories(id)).toBe(1);
    const at = (name: string) => tree.find(Buffer.from(name));
    expect(tree.size(at("file"))).toBe(5_000_000_000);
    expect(tree.links(at("file"))).toBe(2);
    expect(tree.origin(at("file")).inode).toBe(4711n);
    expect([...tree.content(at("file"))].map(formatId)).toEqual(content);
    expect(tree.time(at("file"), "mtime")).toEqual({
      seconds: Date.UTC(1966, 2, 4, 5, 6, 7) / 1000,
      nanoseconds: 1,
    });
    expect(tree.time(at("file"), "atime")).toEqual({ seconds: 4294967296, nanoseconds: 0 });
    expect(tree.mode(at("dir"))).toBe(0o040755);
    expect(formatId(tree.subtree(at("dir"))!)).toBe("33".repeat(32));
    expect(tree.linkTarget(at("link"))!.toString()).toBe("to");
    expect(tree.targetLength(at("link"))).toBe(2);
    expect(tree.subtree(at("file"))).toBeUndefined();
  });

  it("load of a tree that is not one fails each time, and other trees stay readable", async () => {
    const loader = new MemoryLoader();
    const bad = loader.add("tree", "no JSON");
    const good = treeOf(loader, [{ name: "a" }]);
    const cache = new TreeCache(loader);
    await expect(async () => cache.load(bad)).rejects.toThrow(`Cannot load tree ${formatShortId(bad)}: `);
    await cache.loadAhead([bad, good]);
    expect(cache.subdirectories(good)).toBe(0);
    expect(names(await cache.load(good))).toEqual(["a"]);
  });

  it("keeps a directory that is larger than its bound: everything below it is looked up there", async () => {
    const loader = new MemoryLoader();
    const id = treeOf(
      loader,
      Array.from({ length: 1000 }, (_, i) => ({ name: `${i}` })),
    );
    const cache = new TreeCache(loader, { maxBytes: 10_000 });
    const tree = await cache.load(id);
    expect(tree.bytes).toBeGreaterThan(10_000);
    expect(cache.load(id)).toBe(tree);
    expect(loader.loads).toHaveLength(1);
  });

  it("loads what lies beside it when a stretch of a pack is asked for again, and nothing before", async () => {
    const loader = new MemoryLoader();
    const ids = Array.from({ length: 6 }, (_, i) => treeOf(loader, [{ name: `${i}` }]));
    const beside = ids.slice(0, 4);
    loader.stretch = (_type, id) =>
      beside.includes(id) ? { key: 1, ids: () => beside } : { key: 2, ids: () => [id] };
    const cache = new TreeCache(loader);
    await cache.load(ids[0]!);
    await cache.load(ids[4]!);
    expect(loader.bulks).toEqual([]);
    await cache.load(ids[2]!);
    expect(loader.bulks).toEqual([[ids[1]!, ids[3]!].map(formatId)]);
    for (const i of [1, 3]) expect(names(await cache.load(ids[i]!))).toEqual([`${i}`]);
    expect(loader.bulks).toHaveLength(1);
    expect(loader.loads).toEqual([ids[0]!, ids[4]!, ids[2]!].map(formatId));
  });

  /** Stretches of a hundred trees each, in a cache that has room for those of a few. */
  function stretches(count: number) {
    const loader = new MemoryLoader();
    const ids = Array.from({ length: count }, (_, i) =>
      Array.from({ length: 100 }, (_, j) => treeOf(loader, [{ name: `${i}-${j}` }])),
    );
    const keys = new Map(ids.flatMap((some, key) => some.map((id) => [formatId(id), key])));
    loader.stretch = (_type, id) => {
      const key = keys.get(formatId(id))!;
      return { key, ids: () => ids[key]! };
    };
    const cache = new TreeCache(loader, { maxBytes: 200_000 });
    return { ids, cache, loadedAhead: () => loader.bulks.flat().length };
  }

  /** As long as it takes to load a stretch from memory. */
  const pause = async () => {
    for (let i = 0; i < 20; i++) await nextTurn();
  };

  it("loads beside what is asked for as long as a part of that is used, and some thousands for nobody", async () => {
    const { ids, cache, loadedAhead } = stretches(100);
    let asked = 0;
    for (let round = 0; round < 10; round++) {
      for (const some of ids) {
        for (const i of [round, 50 + round]) {
          await cache.load(some[i]!);
          asked++;
        }
        await pause();
      }
    }
    expect(loadedAhead()).toBeGreaterThan(4000);
    expect(loadedAhead()).toBeLessThan(4096 + 4 * asked);
  });

  it.each([1, 5])("who asks for each %i. has what is beside it to the end", async (step) => {
    const { ids, cache, loadedAhead } = stretches(200);
    for (const some of ids) {
      for (const i of [0, step]) await cache.load(some[i]!);
      await pause();
      for (let i = 0; i < some.length; i += step) await cache.load(some[i]!);
    }
    expect(loadedAhead()).toBe(200 * 98);
  });

  lateJoinerSuite(
    (loader, timeoutMs) => {
      const id = treeOf(loader, [{ name: "a" }]);
      const cache = new TreeCache(loader, { timeoutMs });
      return { load: async () => names(await cache.load(id)), loadAhead: () => cache.loadAhead([id]) };
    },
    ["a"],
  );

  it("with rename, names that become equal are told apart", async () => {
    const loader = new MemoryLoader();
    const id = treeOf(loader, [{ name: "a:b" }, { name: "a-b" }, { name: "a?b" }, { name: "a*b" }]);
    const tree = await new TreeCache(loader, { rename: windowsSafeName }).load(id);
    expect(names(tree)).toEqual(["a-b", "a-b~1", "a_b", "a_b~1"]);
  });

  it("with rename, no name becomes too long for a directory", async () => {
    const loader = new MemoryLoader();
    const longest = ["?", ":"].map((end) => `${"é".repeat(126)}${end}${end}`);
    const id = treeOf(loader, [
      ...longest.map((name) => ({ name: `${name}?` })),
      ...longest.map((name) => ({ name: `${name}*` })),
      { name: `con.${"x".repeat(251)}` },
    ]);
    const tree = await new TreeCache(loader, { rename: windowsSafeName }).load(id);
    expect(tree.length).toBe(5);
    for (const name of names(tree)) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    expect(names(tree).join()).not.toContain("\ufffd");
  });
});

describe("kernelDevice", () => {
  it.each([
    [0x0103n, 0x103],
    [0x07c8n, 0x7c8],
    // glibc's makedev(0x123, 0x45678): minor in bits 0 to 7 and 20 to 31, major in 8 to 19.
    [0x45612378n, 0x45612378],
  ])("encodes %i as %i", (device, encoded) => {
    expect(kernelDevice(device)).toBe(encoded);
  });
});
