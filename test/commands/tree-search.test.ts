import { describe, expect, it } from "vitest";
import { IdList } from "../../src/bytes/id.js";
import type { SkimmedNode } from "../../src/commands/skimmed-tree.js";
import { TreeSearch } from "../../src/commands/tree-search.js";
import { encodeTree } from "../../src/format/tree.js";
import { createRepository, node, saveTree } from "../repository/support.js";

describe("TreeSearch", () => {
  it("loads a tree once for all places of a level and for all snapshots, and finds it at each", async () => {
    const repository = await createRepository();
    const leaf = await saveTree(repository, [node("file"), node("other")]);
    const dir = (name: string, subtree: typeof leaf) => node(name, { type: "dir", subtree });
    const middle = await saveTree(repository, [dir("b", leaf), dir("c", leaf)]);
    const first = await saveTree(repository, [dir("a", middle), dir("z", leaf)]);
    const second = await saveTree(repository, [dir("a", middle), node("new")]);
    const nothing = await saveTree(repository, [node("new")]);
    await repository.flush();
    const progress = { trees: 0, treesTotal: 0 };
    const asked: string[] = [];
    const search = new TreeSearch<string>(
      repository,
      {
        hits: (path, node) => {
          asked.push(path);
          return node.decode().name.toString() === "file" ? [path] : [];
        },
        descends: () => true,
      },
      { progress, onError: (_, __, error) => expect.unreachable(error.message) },
    );
    expect([...(await search.search(first))]).toEqual(["/a/b/file", "/a/c/file", "/z/file"]);
    expect([...(await search.search(second))]).toEqual(["/a/b/file", "/a/c/file"]);
    expect([...(await search.search(nothing))]).toEqual([]);
    expect([...(await search.search(first))]).toEqual(["/a/b/file", "/a/c/file", "/z/file"]);
    // The leaf stands on two levels.
    expect(progress.trees).toBe(6);
    // Below the unchanged directory nothing was asked again.
    expect(asked.filter((path) => path === "/a/b/file")).toHaveLength(1);
  });

  it("decodes no node after it has left the tree: its memory is another's by then", async () => {
    const repository = await createRepository();
    const root = await saveTree(repository, [node("file")]);
    await repository.flush();
    const kept: SkimmedNode[] = [];
    const hits = (_path: string, node: SkimmedNode) => {
      kept.push(node);
      return [];
    };
    const options = { onError: () => expect.unreachable() };
    await new TreeSearch(repository, { hits, descends: () => true }, options).search(root);
    expect(kept).toHaveLength(1);
    expect(() => kept[0]!.decode()).toThrow(/after the tree had been left/);
  });

  it("tells of a tree that is not there once, and finds the rest", async () => {
    const repository = await createRepository();
    const lost = await saveTree(await createRepository(), [node("elsewhere")]);
    const dir = (name: string) => node(name, { type: "dir", subtree: lost });
    const root = await saveTree(repository, [dir("a"), dir("b"), node("file")]);
    await repository.flush();
    const told: string[] = [];
    const search = new TreeSearch<string>(
      repository,
      { hits: (_, node) => [node.decode().name.toString()], descends: () => true },
      { onError: (_, path) => told.push(path.toString()) },
    );
    expect([...(await search.search(root))]).toEqual(["a", "b", "file"]);
    expect([...(await search.search(root))]).toEqual(["a", "b", "file"]);
    expect(told).toEqual(["/a"]);
  });

  it("finds nothing in a tree that is none from some node on, nor below it, and finds the rest", async () => {
    const repository = await createRepository();
    const lost = await saveTree(await createRepository(), [node("elsewhere")]);
    const names = Array.from({ length: 5000 }, (_, i) => node(`n${String(i).padStart(5, "0")}`));
    const wide = encodeTree([node("dir", { type: "dir", subtree: lost }), ...names]);
    const { id } = await repository.saveBlob("tree", wide.subarray(0, wide.length - 8));
    const root = await saveTree(repository, [
      node("a", { type: "dir", subtree: id }),
      node("b", { type: "dir", subtree: id }),
      node("file"),
    ]);
    await repository.flush();
    const told: string[] = [];
    const search = new TreeSearch<string>(
      repository,
      { hits: (path) => [path], descends: () => true },
      { onError: (_, path, error) => told.push(`${path}: ${error.message}`) },
    );
    expect([...(await search.search(root))]).toEqual(["/a", "/b", "/file"]);
    expect(told).toEqual([expect.stringMatching(/^\/a: Cannot load tree \w{8}: Cannot decode node 5000 /)]);
  });

  it("gives each path its own node, also where names need escapes or are no UTF-8", async () => {
    const repository = await createRepository();
    const content = new IdList(Buffer.alloc(64, 7));
    const mtime = { seconds: -5, nanoseconds: 999_999_999, zoneMinutes: 60 };
    const deep = await saveTree(repository, [
      node("one", { size: 1, content, mtime }),
      node("two", { size: 2 }),
      node("\ufffd", { size: 4 }),
    ]);
    const names = ["a\nb", 'c"d', "e\\f", Buffer.of(0x66, 0xff)].map((name, i) =>
      node(name, { size: i + 10, mtime }),
    );
    const odd = await saveTree(repository, [...names, node("h", { type: "dir", subtree: deep })]);
    const root = await saveTree(repository, [
      node("odd", { type: "dir", subtree: odd }),
      node("x", { size: 3 }),
    ]);
    await repository.flush();
    const search = new TreeSearch<string>(
      repository,
      {
        hits: (path, node) => [
          `${path} ${node.decode().size} ${node.content.length} ${node.mtime.seconds} ${node.mtime.nanoseconds}`,
        ],
        descends: () => true,
      },
      { onError: (_, __, error) => expect.unreachable(error.message) },
    );
    const found = [...(await search.search(root))].filter((hit) => !/^\S*(odd|h) 0 /s.test(hit));
    expect(found).toEqual([
      "/odd/a\nb 10 0 -5 999999999",
      '/odd/c"d 11 0 -5 999999999',
      "/odd/e\\f 12 0 -5 999999999",
      "/odd/f\udcff 13 0 -5 999999999",
      "/odd/h/one 1 2 -5 999999999",
      "/odd/h/two 2 0 -62135596800 0",
      "/odd/h/\ufffd 4 0 -62135596800 0",
      "/x 3 0 -62135596800 0",
    ]);
  });
});
