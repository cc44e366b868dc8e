import { describe, expect, it } from "vitest";
import { Arrival } from "../../src/archiver/arrival.js";
import { ComingTree } from "../../src/archiver/coming-tree.js";
import type { TreeNode } from "../../src/format/node.js";
import { encodeTree } from "../../src/format/tree.js";
import { node } from "../repository/support.js";
import { collectGarbage, countAlive } from "../support/collect-garbage.js";

const nodeAt = (i: number): TreeNode => node(`file${String(i).padStart(5, "0")}`, { size: i });

describe("ComingTree", () => {
  it.each([3, 5000])(
    "is the tree of its %i nodes in their order, whichever is there first",
    async (count) => {
      const tree = new ComingTree();
      const late: [Arrival, TreeNode][] = [];
      const expected: TreeNode[] = [];
      for (let i = 0; i < count; i++) {
        const made = nodeAt(i);
        expected.push(made);
        if (i % 3 === 0) {
          tree.push(made);
          continue;
        }
        const arrival = new Arrival();
        // Some are there before they are pushed, some at the very end, the second of all among them.
        if (i % 3 === 1 && i !== 1) arrival.arrive(made);
        else late.push([arrival, made]);
        tree.push(arrival);
      }
      expect(tree.count).toBe(count);
      const finished = tree.finish();
      for (const [arrival, made] of late.reverse()) arrival.arrive(made);
      expect((await finished).equals(encodeTree(expected))).toBe(true);
    },
  );

  it("leaves out what has no node in the end", async () => {
    const tree = new ComingTree();
    const expected: TreeNode[] = [];
    for (let i = 0; i < 3000; i++) {
      const arrival = new Arrival();
      arrival.arrive(i % 2 === 0 ? nodeAt(i) : undefined);
      if (i % 2 === 0) expected.push(nodeAt(i));
      tree.push(arrival);
    }
    expect((await tree.finish()).equals(encodeTree(expected))).toBe(true);
  });

  it("fails with what a node failed with", async () => {
    const tree = new ComingTree();
    const failing = new Arrival();
    tree.push(failing);
    const finished = tree.finish();
    failing.fail(new Error("no room"));
    await expect(finished).rejects.toThrow("no room");
  });

  it("keeps no node of a wide directory that is there", async () => {
    const tree = new ComingTree();
    const references: WeakRef<TreeNode>[] = [];
    for (let i = 0; i < 10_000; i++) {
      const made = nodeAt(i);
      references.push(new WeakRef(made));
      tree.push(made);
    }
    await collectGarbage();
    expect(await countAlive(references)).toBeLessThan(2000);
    expect((await tree.finish()).length).toBeGreaterThan(1_000_000);
  });
});
