import { describe, expect, it } from "vitest";
import type { NodeId } from "../../src/fuse/filesystem.js";
import { ReadingWalk } from "../../src/snapfs/reading-walk.js";

const directories = Array.from({ length: 100 }, (_, i) => (i + 2) as NodeId);

/** Lists all, and reads in those that were not handed over. @returns for each whether it was handed over */
function walk(walk: ReadingWalk, nodes: readonly NodeId[], reads: boolean): boolean[] {
  return nodes.map((node) => {
    const isHandedOver = walk.onListed(node);
    if (reads && !isHandedOver) walk.onRead(node);
    return isHandedOver;
  });
}

describe("ReadingWalk", () => {
  it("sees that a walk reads, and looks again every few directories whether it still does", () => {
    const handed = walk(new ReadingWalk(), directories, true);
    expect(handed.slice(0, 3)).toEqual([false, false, false]);
    expect(handed.filter(Boolean).length).toBeGreaterThan(80);
    expect(handed.lastIndexOf(false)).toBeGreaterThan(80);
  });

  it("stops soon when a walk only looks", () => {
    const walker = new ReadingWalk();
    walk(walker, directories.slice(0, 50), true);
    const handed = walk(walker, directories.slice(50), false);
    expect(handed.lastIndexOf(true)).toBeLessThan(10);
    expect(walker.readsNext).toBe(false);
  });

  it("does not take one who opens files here and there for a walk", () => {
    const walker = new ReadingWalk();
    for (const node of directories) walker.onRead(node);
    expect(walker.onListed(directories[0]!)).toBe(false);
    expect(walker.onRead(directories[0]!)).toBe(false);
  });
});
