import { describe, expect, it } from "vitest";
import { formatId } from "../../src/bytes/id.js";
import { TreeCache } from "../../src/cache/tree-cache.js";
import type { LoadedSnapshot } from "../../src/format/snapshot.js";
import { LinkCounts } from "../../src/snapfs/link-counts.js";
import type { NamedEntry, VirtualDirectory } from "../../src/snapfs/virtual-directory.js";
import { MemoryLoader } from "../cache/memory-loader.js";

/** A list of snapshots, each with a root tree of its own; those of which nothing can be read have damaged ones. */
function snapshotList(count: number, isDamaged = false) {
  const loader = new MemoryLoader();
  const entries: NamedEntry[] = Array.from({ length: count }, (_, i) => {
    const node = { name: `${i}`, type: "dir", mode: 0, subtree: "0".repeat(64) };
    const tree = loader.add("tree", isDamaged ? `${i}` : `${JSON.stringify({ nodes: [node] })}\n`);
    const snapshot = { tree } as LoadedSnapshot;
    return { name: Buffer.from(`${i}`), entry: { kind: "snapshot", snapshot } };
  });
  const list: VirtualDirectory = {
    changed: { seconds: 0, nanoseconds: 0 },
    subdirectories: count,
    lookup: () => undefined,
    list: () => entries,
  };
  const snapshots = entries.map(
    ({ entry }) => entry.kind === "snapshot" && entry.snapshot,
  ) as LoadedSnapshot[];
  const trees = new TreeCache(loader);
  return { loader, entries, list, snapshots, trees, links: new LinkCounts(trees) };
}

describe("LinkCounts", () => {
  it("seeRoots loads the root trees of a list, and none of a long one", async () => {
    const short = snapshotList(256);
    await short.links.seeRoots(short.entries);
    expect(short.snapshots.every(({ tree }) => short.links.isKnown(tree))).toBe(true);
    expect(short.loader.bulks).toHaveLength(1);
    const long = snapshotList(257);
    await long.links.seeRoots(long.entries);
    expect(long.loader.bulks).toEqual([]);
  });

  it.each([1, 1237])(
    "seeRoot loads most root trees together, whether the next is 1 or %i further",
    async (step) => {
      const { loader, list, snapshots, trees, links } = snapshotList(5000);
      for (let i = 0; i < snapshots.length; i++) {
        const snapshot = snapshots[(i * step) % snapshots.length]!;
        expect(await links.seeRoot(list, snapshot)).toBe(true);
        expect(trees.subdirectories(snapshot.tree)).toBe(1);
      }
      const together = loader.bulks.flat();
      expect(together.length).toBeGreaterThan(4500);
      expect(new Set(together).size).toBe(together.length);
      expect(loader.bulks.length).toBeLessThan(20);
    },
  );

  it("seeRoot loads nothing but what was asked for as long as few are asked for", async () => {
    const { loader, list, snapshots, links } = snapshotList(1000);
    for (const snapshot of snapshots.slice(0, 4)) await links.seeRoot(list, snapshot);
    expect(loader.bulks).toEqual([]);
    expect(loader.loads).toEqual(snapshots.slice(0, 4).map(({ tree }) => formatId(tree)));
  });

  it("seeRoot of a damaged root tree is false, and no other that is damaged is loaded for it again", async () => {
    const { loader, list, snapshots, links } = snapshotList(1000, true);
    for (let round = 0; round < 3; round++) {
      for (const snapshot of snapshots) expect(await links.seeRoot(list, snapshot)).toBe(false);
    }
    const together = loader.bulks.flat();
    expect(new Set(together).size).toBe(together.length);
  });
});
