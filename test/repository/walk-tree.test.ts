import { beforeAll, describe, expect, it } from "vitest";
import { formatId, formatShortId, type Id, IdList, parseId } from "../../src/bytes/id.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import type { BlobLoader } from "../../src/repository/blob-loader.js";
import { loadNode } from "../../src/repository/load-tree.js";
import type { Repository } from "../../src/repository/repository.js";
import { type VisitedTree, visitTrees, walkTree } from "../../src/repository/walk-tree.js";
import { TreeWalk } from "../../src/restorer/tree-walk.js";
import { countAlive } from "../support/collect-garbage.js";
import { collect, createRepository, node, saveTree } from "./support.js";

const MISSING = parseId("0".repeat(64))!;

let repository: Repository;
let root: Id;

/** A tree of some depth and width with a missing directory in it. */
async function build(depth: number): Promise<Id> {
  const nodes: TreeNode[] = [];
  if (depth > 0) {
    for (const name of ["d0", "d1", "d2", "d3", "d4", "d5"])
      nodes.push(node(name, { type: "dir", subtree: await build(depth - 1) }));
  }
  nodes.push(node(`e-${depth}`));
  if (depth === 3) {
    nodes.push(node("gone", { type: "dir", subtree: MISSING }));
    nodes.push(node("no-tree", { type: "dir" }));
    nodes.push(node("raw", { name: Buffer.from([0xff]) }));
  }
  return saveTree(repository, nodes);
}

beforeAll(async () => {
  repository = await createRepository();
  root = await build(3);
  await repository.flush();
});

/** The plain way, to compare with. */
async function plainWalk(id: Id, path: string): Promise<string[]> {
  const { loadTree } = await import("../../src/repository/load-tree.js");
  const paths: string[] = [];
  for (const { name, type, subtree } of await loadTree(repository, id)) {
    const here = path + name.toString("latin1");
    paths.push(here);
    if (type === "dir" && subtree && subtree !== MISSING && formatId(subtree) !== formatId(MISSING))
      paths.push(...(await plainWalk(subtree, `${here}/`)));
  }
  return paths;
}

describe("walkTree", () => {
  it("hands out every node in order, and goes on behind a directory that is missing", async () => {
    const errors: string[] = [];
    const onError = (path: Buffer) => errors.push(path.toString());
    const walked = await collect(walkTree(repository, root, { onError }));
    expect(walked.map(({ path }) => path.toString("latin1"))).toEqual(await plainWalk(root, ""));
    expect(errors).toEqual(["gone"]);
  });

  it("fails at a missing directory when nobody listens, after what comes before it", async () => {
    const seen: string[] = [];
    const walk = async () => {
      for await (const { path } of walkTree(repository, root)) seen.push(path.toString());
    };
    await expect(walk()).rejects.toMatchObject({ code: "not-found" });
    expect(seen.at(-1)).toBe("gone");
  });

  it("hands out what comes before the damaged part of a tree, tells of it once, and goes on behind it", async () => {
    const below = await saveTree(repository, [node("below")]);
    const whole = encodeTree([node("a", { type: "dir", subtree: below }), node("b"), node("c")]).toString();
    const damaged = whole.replace('"name":"c","type":"file"', '"name":"c","type":7');
    const subtree = (await repository.saveBlob("tree", Buffer.from(damaged))).id;
    const top = await saveTree(repository, [node("d", { type: "dir", subtree }), node("e")]);
    await repository.flush();
    const errors: string[] = [];
    const onError = (path: Buffer, error: Error) => errors.push(`${path.toString()}: ${error.message}`);
    const walked = await collect(walkTree(repository, top, { onError }));
    const paths = walked.map(({ path }) => path.toString());
    expect(paths).toEqual(["d", "d/a", "d/a/below", "d/b", "e"]);
    expect(errors).toEqual([
      expect.stringMatching(
        new RegExp(`^d: Cannot load tree ${formatShortId(subtree)}: .*node 2 "c" of tree`),
      ),
    ]);
    await expect(collect(walkTree(repository, top))).rejects.toMatchObject({ code: "damaged" });
  });

  it("leaves out what descend refuses", async () => {
    const descend = ({ node }: { node: TreeNode }) => node.name.toString() === "d1";
    const walked = await collect(walkTree(repository, root, { descend }));
    const paths = walked.map(({ path }) => path.toString("latin1"));
    expect(paths).toContain("d1/d1/e-1");
    expect(paths.some((path) => path.startsWith("d0/"))).toBe(false);
  });

  it("loads a few trees ahead, and no more", async () => {
    let loading = 0;
    let most = 0;
    const counting: BlobLoader = {
      blobSize: (type, id) => repository.blobSize(type, id),
      loadBlob: async (type, id, signal) => {
        most = Math.max(most, ++loading);
        try {
          return await repository.loadBlob(type, id, signal);
        } finally {
          loading--;
        }
      },
    };
    await collect(walkTree(counting, root, { onError: () => {} }));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4 * 4);
  });

  it("loads many trees with one request where the loader can, and none that nobody expects", async () => {
    const wanted: string[] = [];
    let requests = 0;
    const batching: BlobLoader = {
      blobSize: (type, id) => repository.blobSize(type, id),
      loadBlob: (type, id, signal) => {
        requests++;
        wanted.push(formatId(id));
        return repository.loadBlob(type, id, signal);
      },
      loadBlobs: (type, ids, on, signal) => {
        requests++;
        wanted.push(...ids.map(formatId));
        return repository.loadBlobs(type, ids, on, signal);
      },
    };
    const onError = () => {};
    const walked = await collect(walkTree(batching, root, { onError }));
    const directories = walked.filter(({ node }) => node.type === "dir").length;
    expect(requests).toBeLessThan(directories / 10);

    wanted.length = 0;
    await collect(walkTree(batching, root, { descend: () => false, expects: () => false }));
    expect(wanted).toEqual([formatId(root)]);
    // What was not expected is loaded all the same when the walk gets there.
    const alone = await collect(walkTree(batching, root, { onError, expects: () => false }));
    expect(alone.map(({ path }) => path)).toEqual(walked.map(({ path }) => path));
  });

  it("stops when the signal fires, and when the caller has enough", async () => {
    const controller = new AbortController();
    const walk = async () => {
      for await (const _ of walkTree(repository, root, { signal: controller.signal })) controller.abort();
    };
    await expect(walk()).rejects.toMatchObject({ code: "interrupted" });
    for await (const { path } of walkTree(repository, root)) {
      expect(path.toString()).toBe("d0");
      break;
    }
  });
});

describe("walks", () => {
  const DIRECTORIES = 300;
  let wide: Id;

  /** Some directories with some in each, all with other contents. */
  beforeAll(async () => {
    const outer: TreeNode[] = [];
    for (let i = 0; i < 10; i++) {
      const inner: TreeNode[] = [];
      for (let j = 0; j < DIRECTORIES / 10; j++) {
        const subtree = await saveTree(repository, [node(`file ${i} ${j}`)]);
        inner.push(node(`inner ${100 + j}`, { type: "dir", subtree }));
      }
      outer.push(node(`outer ${i}`, { type: "dir", subtree: await saveTree(repository, inner) }));
    }
    wide = await saveTree(repository, outer);
    await repository.flush();
  });

  /** A loader that remembers what it has handed out, as long as somebody else does. */
  const remembering = (handedOut: WeakRef<Uint8Array>[]): BlobLoader => ({
    blobSize: (type, id) => repository.blobSize(type, id),
    loadBlob: async (type, id, signal) => {
      // Its own memory, so that no other view of it keeps it.
      const json = Uint8Array.from(await repository.loadBlob(type, id, signal));
      handedOut.push(new WeakRef(json));
      return json;
    },
  });

  it("keep no tree that they have passed (walkTree)", async () => {
    const handedOut: WeakRef<Uint8Array>[] = [];
    const alive: number[] = [];
    for await (const { path } of walkTree(remembering(handedOut), wide))
      if (path.toString().endsWith(`/inner ${100 + DIRECTORIES / 10 - 1}`))
        alive.push(await countAlive(handedOut));
    expect(handedOut.length).toBe(1 + 10 + DIRECTORIES);
    expect(alive.length).toBe(10);
    // None is left to be loaded ahead of the last one.
    expect(alive.at(-1)).toBeLessThan(DIRECTORIES / 10);
  });

  it("keep no node that they have passed", async () => {
    const files: TreeNode[] = [];
    for (let i = 1000; i < 2000; i++) files.push(node(`file ${i}`));
    const tree = await saveTree(repository, files);
    await repository.flush();
    const handedOut: WeakRef<TreeNode>[] = [];
    let alive = Number.POSITIVE_INFINITY;
    let passed = 0;
    for await (const { node } of walkTree(repository, tree)) {
      passed = handedOut.push(new WeakRef(node));
      if (passed === 900) alive = await countAlive(handedOut);
    }
    expect(passed).toBe(1000);
    expect(alive).toBeLessThan(10);
  });

  it("keep no tree that they have passed (restore)", async () => {
    const handedOut: WeakRef<Uint8Array>[] = [];
    const alive: number[] = [];
    const select = () => ({ selected: true, childMayBeSelected: true });
    const report = (location: string, error: unknown) => {
      throw new Error(`${location}: ${String(error)}`);
    };
    const walk = new TreeWalk(remembering(handedOut), select, report, undefined);
    await walk.run(wide, {
      visitNode: () => {},
      leaveFolder: async (_node, location) => {
        if (location.startsWith("/outer") && location.lastIndexOf("/") === 0)
          alive.push(await countAlive(handedOut));
      },
    });
    expect(handedOut.length).toBe(1 + 10 + DIRECTORIES);
    expect(alive.length).toBe(10);
    expect(alive.at(-1)).toBeLessThan(DIRECTORIES / 10);
  });
});

describe("visitTrees", () => {
  it("visits every tree once, and reports those that cannot be loaded", async () => {
    const visited: string[] = [];
    const failed: string[] = [];
    await visitTrees(repository, [root, root], (id, tree) => {
      ("nodes" in tree ? visited : failed).push(formatId(id));
    });
    // One tree per depth: equal directories are one tree.
    expect(visited.length).toBe(4);
    expect(new Set(visited).size).toBe(4);
    expect(failed).toEqual([formatId(MISSING)]);
  });

  it("tells what trees refer to as their nodes do, and of no tree after its visit", async () => {
    const content = IdList.from([MISSING.map(() => 1) as Id, MISSING.map(() => 2) as Id]);
    const leaf = await saveTree(repository, [node("a", { content }), node("link", { type: "symlink" })]);
    const plain = await saveTree(repository, [node("b"), node("c", { type: "dir", subtree: leaf })]);
    const odd = await saveTree(repository, [
      node('"', { content }),
      node("c", { type: "dir", subtree: leaf }),
    ]);
    await repository.flush();
    for (const engine of [repository.engine, undefined]) {
      const told: string[][] = [];
      const kept: VisitedTree[] = [];
      await visitTrees(
        repository,
        [plain, odd],
        (id, tree) => {
          if ("error" in tree) throw tree.error;
          kept.push(tree);
          told.push([id, ...tree.subtrees, ...tree.contents].map(formatId));
        },
        engine ? { engine } : {},
      );
      expect(new Set(told.map((ids) => ids.join()))).toEqual(
        new Set([
          [leaf, ...content].map(formatId).join(),
          [plain, leaf].map(formatId).join(),
          [odd, leaf, ...content].map(formatId).join(),
        ]),
      );
      // Their memory is another tree's by then.
      for (const tree of kept.filter(({ references }) => references))
        expect(() => tree.nodes).toThrow(/after the visit/);
      expect(kept.some(({ references }) => references)).toBe(engine?.parseTree !== undefined);
    }
  });

  it("tells the same of a wide tree that no engine knows, and that a broken one is none", async () => {
    const memory = await createRepository();
    const wide = Array.from({ length: 8000 }, (_, i) =>
      i % 2 === 0
        ? node(`"${String(i).padStart(5, "0")}`, { content: IdList.from([MISSING, MISSING]) })
        : node(`"${String(i).padStart(5, "0")}`, { type: "dir", subtree: MISSING }),
    );
    const json = encodeTree(wide);
    expect(json.length).toBeGreaterThan(1024 * 1024);
    const { id } = await memory.saveBlob("tree", json);
    const { id: broken } = await memory.saveBlob("tree", json.subarray(0, json.length - 8));
    await memory.flush();
    const told: string[] = [];
    const visit = (_: Id, tree: VisitedTree | { readonly error: Error }): undefined => {
      if ("error" in tree) {
        told.push(tree.error.message);
        return;
      }
      expect(tree.references).toBeUndefined();
      const counts = [[...tree.nodes], [...tree.contents], [...tree.subtrees]].map(({ length }) => length);
      expect(counts).toEqual([8000, 8000, 4000]);
      told.push("whole");
    };
    await visitTrees(memory, [id], visit, { engine: memory.engine, isNew: (one) => one !== MISSING });
    expect(told[0]).toBe("whole");
    told.length = 0;
    await visitTrees(memory, [broken], visit, { engine: memory.engine });
    expect(told).toEqual([expect.stringContaining("Cannot decode node 7999")]);
  });

  it("tells of each root when its tree was visited", async () => {
    const leaf = await saveTree(repository, [node("x")]);
    const other = await saveTree(repository, [node("d", { type: "dir", subtree: leaf })]);
    await repository.flush();
    const told: string[] = [];
    await visitTrees(repository, [other, leaf, other, MISSING], (id) => void told.push(formatId(id)), {
      onRoot: () => told.push("root"),
    });
    expect(told.filter((line) => line === "root")).toHaveLength(4);
    expect(told.filter((line) => line !== "root").sort()).toEqual(
      [other, leaf, MISSING].map(formatId).sort(),
    );
    const known: string[] = [];
    const onRoot = () => known.push("root");
    await visitTrees(repository, [leaf], (id) => void known.push(formatId(id)), {
      isNew: () => false,
      onRoot,
    });
    expect(known).toEqual(["root"]);
  });
});

describe("loadNode", () => {
  it("finds a node by its name, whatever is behind it", async () => {
    const memory = await createRepository();
    const whole = encodeTree([node("a"), node("b", { size: 5 }), node("c")]);
    const { id } = await memory.saveBlob("tree", whole.subarray(0, whole.length - 8));
    await memory.flush();
    expect(await loadNode(memory, id, Buffer.from("b"))).toMatchObject({ size: 5 });
    await expect(loadNode(memory, id, Buffer.from("d"))).rejects.toThrow(/Cannot load tree .* node 2 /);
    const { id: good } = await memory.saveBlob("tree", whole);
    await memory.flush();
    expect(await loadNode(memory, good, Buffer.from("d"))).toBeUndefined();
  });
});
