import { describe, expect, it } from "vitest";
import { type Id, IdList } from "../../src/bytes/id.js";
import { type DiffSummary, runDiff } from "../../src/commands/diff.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import type { Repository } from "../../src/repository/repository.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, node, saveTree, snapshotOf } from "../repository/support.js";
import { collectGarbage } from "../support/collect-garbage.js";
import { sessionOf } from "../support/session-of.js";

interface Diff {
  readonly changes: readonly string[];
  readonly summary: DiffSummary;
}

async function diff(
  repository: Repository,
  [before, after]: readonly [Id, Id],
  onChange: () => Promise<void> | undefined = () => undefined,
): Promise<Diff> {
  await repository.flush();
  const snapshots = [before, after].map((tree) => saveSnapshot(repository, snapshotOf(tree)));
  const [source, target] = await Promise.all(snapshots);
  const session = sessionOf(repository);
  const changes: string[] = [];
  const names = [source!, target!].map((id) => Buffer.from(id).toString("hex"));
  const summary = await runDiff(
    session,
    { source: names[0]!, target: names[1]!, metadata: true },
    {
      onStart: () => undefined,
      onChange: ({ path, modifier }) => {
        changes.push(`${modifier} ${path}`);
        return onChange();
      },
    },
  );
  return { changes, summary };
}

const named = (i: number, fields: Partial<TreeNode> = {}) => node(`f${String(i).padStart(6, "0")}`, fields);

/** Nodes in the order in which they are given, which the encoder refuses. */
function saveInAnyOrder(repository: Repository, nodes: readonly TreeNode[]): Promise<Id> {
  const texts = nodes.map((one) => encodeTree([one]).toString().slice('{"nodes":['.length, -3));
  return repository.saveBlob("tree", Buffer.from(`{"nodes":[${texts.join(",")}]}\n`)).then(({ id }) => id);
}

describe("runDiff", () => {
  it("keeps no nodes of two wide directories", async () => {
    const repository = await createRepository();
    const all = Array.from({ length: 30_000 }, (_, i) =>
      named(i, { size: i, user: "ada", inode: BigInt(i) }),
    );
    const before = await saveTree(repository, all);
    const after = await saveTree(repository, [{ ...all[0]!, uid: 1 }, ...all.slice(1)]);
    all.length = 0;
    await collectGarbage();
    const start = process.memoryUsage().heapUsed;
    let grown = Number.POSITIVE_INFINITY;
    const { changes } = await diff(repository, [before, after], async () => {
      await collectGarbage();
      grown = process.memoryUsage().heapUsed - start;
    });
    expect(changes).toEqual(["U /f000000"]);
    expect(grown).toBeLessThan(8 * 1024 * 1024);
  });

  it("compares trees by name, also where an old one has the names in another order, or one twice", async () => {
    const repository = await createRepository();
    const sorted = [named(1), named(2, { size: 2 }), named(3), named(5)];
    const before = await saveInAnyOrder(repository, [named(3), named(2), named(1), named(4), named(4)]);
    const after = await saveTree(repository, sorted);
    const { changes } = await diff(repository, [before, after]);
    expect(changes).toEqual(["U /f000002", "- /f000004", "+ /f000005"]);
    expect((await diff(repository, [after, before])).changes).toEqual([
      "U /f000002",
      "+ /f000004",
      "- /f000005",
    ]);
  });

  it("tells nothing of a directory that is no tree from some node on", async () => {
    const repository = await createRepository();
    const whole = encodeTree([named(1), named(2)]);
    const broken = await repository.saveBlob("tree", whole.subarray(0, whole.length - 8));
    const after = await saveTree(repository, [named(0), named(1)]);
    const changes: string[] = [];
    const running = diff(repository, [broken.id, after], () => void changes.push("one"));
    await expect(running).rejects.toThrow(/Cannot load tree .*: Cannot decode node 1 /);
    expect(changes).toEqual([]);
  });

  it("counts the blobs that one side alone has, wherever the other one has them", async () => {
    const repository = await createRepository();
    const blob = async (text: string) => (await repository.saveBlob("data", Buffer.from(text))).id;
    const file = async (name: string, text: string) =>
      node(name, { size: text.length, content: IdList.from([await blob(text)]) });
    const shared = await saveTree(repository, [await file("x", "in the common directory")]);
    const dir = (name: string, subtree: Id) => node(name, { type: "dir", subtree });
    const left = await saveTree(repository, [await file("a", "moved"), await file("b", "gone for ever")]);
    const right = await saveTree(repository, [
      await file("c", "moved"),
      await file("d", "in the common directory"),
      await file("e", "new"),
    ]);
    const before = await saveTree(repository, [dir("changed", left), dir("same", shared)]);
    const after = await saveTree(repository, [dir("changed", right), dir("same", shared)]);
    const { changes, summary } = await diff(repository, [before, after]);
    expect(changes).toEqual([
      "U /changed/",
      "- /changed/a",
      "- /changed/b",
      "+ /changed/c",
      "+ /changed/d",
      "+ /changed/e",
    ]);
    const bytesOf = (id: Id) => repository.blobSize("tree", id)!;
    const trees = { dataBlobs: 1, treeBlobs: 2 };
    expect(summary.removed).toMatchObject({
      ...trees,
      files: 2,
      bytes: 13 + bytesOf(before) + bytesOf(left),
    });
    expect(summary.added).toMatchObject({ ...trees, files: 3, bytes: 3 + bytesOf(after) + bytesOf(right) });
  });
});
