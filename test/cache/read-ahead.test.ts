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

  it("note shares the bound among the readers that go on, and gives it all to the last of them", () => {
    const readers = new SequentialReaders({ maxBytes: 32 * MIB });
    const ahead = new Map<number, number>();
    const read = (file: number, at: number) => {
      const range = readers.note(file, at, MIB);
      if (range) ahead.set(file, range.to);
      return (ahead.get(file) ?? 0) - (at + MIB);
    };
    let together = 0;
    for (let at = 0; at < 100 * MIB; at += MIB) {
      together = [1, 2, 3, 4, 5, 6, 7, 8].reduce((sum, file) => sum + Math.max(0, read(file, at)), 0);
    }
    expect(together).toBeGreaterThan(16 * MIB);
    expect(together).toBeLessThanOrEqual(32 * MIB);
    let alone = 0;
    for (let at = 100 * MIB; at < 500 * MIB; at += MIB) alone = Math.max(alone, read(3, at));
    expect(alone).toBe(24 * MIB);
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
    const goesOn = [3, 4, 5].map((at) => readers.note(1, at * MIB, MIB));
    expect(goesOn.some((range) => range !== undefined)).toBe(true);
  });
});

describe("SequentialReaders", () => {
  it("isScattered tells who reads here and there from who reads on, and sees it change", () => {
    const readers = new SequentialReaders();
    const page = 4096;
    for (let i = 0; i < 100; i++) readers.note(1, i * page, page);
    expect(readers.isScattered(1)).toBe(false);
    for (let i = 0; i < 20; i++) readers.note(1, ((i * 37) % 50) * 16 * MIB, page);
    expect(readers.isScattered(1)).toBe(true);
    for (let i = 0; i < 100; i++) readers.note(1, 2 ** 40 + i * page, page);
    expect(readers.isScattered(1)).toBe(false);
    expect(readers.isScattered(2)).toBe(false);
  });
});

describe("DirectoryReaders", () => {
  it("a walk is given all siblings with the first read, and what it was handed is not asked for again", () => {
    const readers = new DirectoryReaders();
    const size = () => 10_000;
    expect(readers.note(1, 3, 20, size, true).toSorted((a, b) => a - b)).toEqual(
      [...Array(20).keys()].filter((position) => position !== 3),
    );
    const unread = readers.unread(2, 300, size);
    expect(unread.length).toBeGreaterThan(200);
    expect(unread.length).toBeLessThan(220);
    for (const position of unread) readers.handedOver(2, position, 10_000);
    expect(readers.unread(2, 300, size)[0]).toBe(unread.at(-1)! + 1);
    expect(readers.note(2, 0, 300, size, true)).toEqual([]);
  });

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
