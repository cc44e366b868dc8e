import { describe, expect, it } from "vitest";
import { type ArenaSegment, BlobArena } from "../../src/cache/blob-arena.js";
import { randomNumbers } from "../support/random.js";

/** An arena, and the segments that it has not given up. */
function makeArena(maxBytes: number) {
  const live = new Set<ArenaSegment>();
  const arena = new BlobArena(maxBytes, (segment) => {
    expect(segment.isPinned).toBe(false);
    expect(live.delete(segment)).toBe(true);
  });
  const take = (bytes: number): ArenaSegment | undefined => {
    const segment = arena.take(bytes, 0);
    if (segment) live.add(segment);
    return segment;
  };
  return { arena, live, take };
}

function overlap(a: ArenaSegment, b: ArenaSegment): boolean {
  return a.start < b.end && b.start < a.end;
}

describe("BlobArena", () => {
  it("gives up what was taken first, and only as much as is in the way", () => {
    const { take, live } = makeArena(1024);
    const segments = Array.from({ length: 4 }, () => take(256)!);
    for (const segment of segments) segment.unpin();
    take(300)!.unpin();
    expect(segments.map((segment) => live.has(segment))).toEqual([false, false, true, true]);
  });

  it("steps over what is pinned, and has nothing to give when all is", () => {
    const { take, live } = makeArena(1024);
    const segments = Array.from({ length: 4 }, () => take(256)!);
    expect(take(64)).toBeUndefined();
    segments[1]!.unpin();
    expect(take(256)!.start).toBe(256);
    expect(live.has(segments[0]!)).toBe(true);
    expect(take(257)).toBeUndefined();
  });

  it("refuses more than it has, and counts what keeping a blob costs", () => {
    const { arena, take } = makeArena(4096);
    expect(take(4097)).toBeUndefined();
    expect(take(4096)!.memory.length).toBe(4096);
    expect(new BlobArena(4096, () => {}).take(4096, 1)).toBeUndefined();
    expect(arena.bytes).toBe(4096);
  });

  it("never hands out memory that overlaps what is alive, in any order of pins", () => {
    const { arena, take, live } = makeArena(64 * 1024);
    const pinned: ArenaSegment[] = [];
    const random = randomNumbers(1);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const segment = take(1 + random(9000));
      if (segment) {
        const clash = [...live].find((other) => other !== segment && overlap(other, segment));
        expect(clash).toBeUndefined();
        expect(segment.end).toBeLessThanOrEqual(arena.maxBytes);
        pinned.push(segment);
      } else refused++;
      while (pinned.length > random(10)) pinned.splice(random(pinned.length), 1)[0]!.unpin();
    }
    const total = [...live].reduce((sum, { start, end }) => sum + end - start, 0);
    expect(arena.bytes).toBe(total);
    expect(refused).toBeLessThan(5000);
  });
});
