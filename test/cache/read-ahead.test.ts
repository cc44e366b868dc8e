import { describe, expect, it } from "vitest";
import { DirectoryReaders, SequentialReaders } from "../../src/cache/read-ahead.js";

const MIB = 1024 * 1024;

describe("SequentialReaders", () => {
  it("note asks for more and more ahead of a reader that goes on, up to its bound", () => {
    const readers = new SequentialReaders({ maxBytes: 8 * MIB });
    let ahead = 0;
    for (let at = 0; at < 64 * MIB; at += MIB) {
      const range = readers.note(1, at, MIB);
      if (range) {
        expect(range.from).toBe(Math.max(ahead, at + MIB));
        expect(range.to - (at + MIB)).toBeLessThanOrEqual(8 * MIB);
        ahead = range.to;
      }
      // What comes next has always been asked for.
      expect(ahead).toBeGreaterThanOrEqual(at + 2 * MIB);
    }
  });

  it("note asks for nothing ahead of random reads", () => {
    const readers = new SequentialReaders();
    for (const at of [900, 100, 500, 300, 700]) expect(readers.note(1, at * MIB, 4096)).toBeUndefined();
  });

  it("note bears with requests that come a little out of order", () => {
    const readers = new SequentialReaders();
    readers.note(1, 0, MIB);
    readers.note(1, 2 * MIB, MIB);
    expect(readers.note(1, MIB, MIB)).toBeUndefined();
    expect(readers.note(1, 3 * MIB, MIB)).toBeDefined();
  });
});

describe("DirectoryReaders", () => {
  it("note asks for the siblings once a second file was read, each once, in whatever order they are read", () => {
    const readers = new DirectoryReaders();
    const size = () => 10_000;
    const asked = new Set<number>();
    const order = [7, 3, ...Array.from({ length: 100 }, (_, i) => (i * 37) % 100)];
    for (const [i, position] of order.entries()) {
      const siblings = readers.note(1, position, 100, size);
      if (i === 0) expect(siblings).toEqual([]);
      for (const sibling of siblings) {
        expect(asked.has(sibling)).toBe(false);
        asked.add(sibling);
      }
    }
    expect(asked.size).toBeGreaterThan(80);
  });

  it("note leaves out what is no small file, and comes to an end", () => {
    const readers = new DirectoryReaders();
    const small = (position: number) => (position % 2 === 0 ? 100 : 0);
    readers.note(1, 0, 10, small);
    expect(readers.note(1, 2, 10, small).toSorted()).toEqual([4, 6, 8]);
    expect(readers.note(1, 4, 10, small)).toEqual([]);
  });
});
