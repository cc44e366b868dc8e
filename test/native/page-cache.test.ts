import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;
const MIB = 1024 * 1024;

describe.skipIf(addonProblem() !== undefined)("page cache functions of the addon", () => {
  let fd: number;
  let path: string;
  beforeEach(async () => {
    path = join(await temporaryFolder(), "file");
    fd = openSync(path, "w+");
    writeSync(fd, Buffer.alloc(4 * MIB, 1));
    fsyncSync(fd);
  });
  afterEach(() => closeSync(fd));

  it("forget a range and nothing else of a file, and change no byte", () => {
    expect(addon.isCached(fd, 0, 4 * MIB)).toBe(true);
    addon.forgetCached(fd, MIB, 2 * MIB);
    // A file system in memory forgets nothing.
    const isForgotten = !addon.isCached(fd, MIB, 2 * MIB);
    if (isForgotten) expect(addon.isCached(fd, 3 * MIB, MIB)).toBe(true);
    const bytes = Buffer.alloc(4 * MIB);
    expect(readSync(fd, bytes, 0, bytes.length, 0)).toBe(bytes.length);
    expect(bytes.every((byte) => byte === 1)).toBe(true);
  });

  it("read a range by the name of the file, at any place of it and of the memory, and nothing that is not there", async () => {
    const content = randomBytes(4 * MIB);
    writeSync(fd, content, 0, content.length, 0);
    const memory = Buffer.alloc(5 * MIB);
    for (const isOnDisk of [false, true]) {
      for (const [offset, length, at] of [
        [0, 4 * MIB, 0],
        [1, MIB, 1],
        [4095, 4098, 4095],
        [4096, 4096, 512],
        [4 * MIB - 1, 1, 7],
        [5, 0, 0],
      ] as const) {
        for (const [isDirect, isForgotten, room] of [
          [false, false, 0],
          [true, false, 3 * 4096],
          [true, false, 0],
          [true, true, 3 * 4096],
          [false, true, 0],
        ] as const) {
          // What was written and is not on the disk yet is part of the file.
          if (isOnDisk) fsyncSync(fd);
          if (isOnDisk) addon.forgetCached(fd, 0, 4 * MIB);
          const into = memory.fill(0).subarray(at, at + length + room);
          const start = await addon.readRange(Buffer.from(path), offset, length, into, isDirect, isForgotten);
          expect(start).toBeGreaterThanOrEqual(0);
          const wanted = content.subarray(offset, offset + length);
          expect(into.subarray(start, start + length).equals(wanted)).toBe(true);
          expect(memory.subarray(0, at).every((byte) => byte === 0)).toBe(true);
          expect(memory.subarray(at + into.length).every((byte) => byte === 0)).toBe(true);
        }
      }
    }
  });

  it("leave in the cache what was there, and nothing else when told so", async () => {
    const memory = Buffer.alloc(2 * MIB + 3 * 4096);
    expect(await addon.readRange(Buffer.from(path), 0, 2 * MIB, memory, true, true)).toBe(0);
    expect(addon.isCached(fd, 0, 2 * MIB)).toBe(true);
    addon.forgetCached(fd, 0, 4 * MIB);
    // A file system in memory forgets nothing.
    if (addon.isCached(fd, 0, 4 * MIB)) return;
    for (const isDirect of [true, false]) {
      expect(
        await addon.readRange(Buffer.from(path), 0, 2 * MIB, memory, isDirect, true),
      ).toBeGreaterThanOrEqual(0);
      expect(addon.isCached(fd, 0, 2 * MIB)).toBe(false);
    }
    expect(await addon.readRange(Buffer.from(path), 0, 2 * MIB, memory, false, false)).toBe(0);
    expect(addon.isCached(fd, 0, 2 * MIB)).toBe(true);
  });

  it("say so when a range cannot be had, and refuse what is none", async () => {
    const memory = Buffer.alloc(MIB);
    for (const isDirect of [false, true]) {
      expect(await addon.readRange(Buffer.from(path), 4 * MIB - 10, 11, memory, isDirect, false)).toBe(-1);
      expect(await addon.readRange(Buffer.from(path), 9 * MIB, 1, memory, isDirect, false)).toBe(-1);
      expect(await addon.readRange(Buffer.from(`${path}-missing`), 0, 1, memory, isDirect, false)).toBe(-1);
      expect(await addon.readRange(Buffer.from(dirname(path)), 0, 1, memory, isDirect, false)).toBe(-1);
    }
    expect(() => addon.readRange(Buffer.from(path), 0, MIB + 1, memory, false, false)).toThrow();
    expect(() => addon.readRange(Buffer.from(path), -1, 1, memory, false, false)).toThrow();
    expect(() => addon.readRange(Buffer.from("a\0b"), 0, 1, memory, false, false)).toThrow();
    expect(() => addon.readRange(Buffer.from(path), 0, 1, "memory" as never, false, false)).toThrow();
  });

  it("take ranges at any place, beyond the end too, and refuse what is none", () => {
    expect(addon.isCached(fd, 1, 1)).toBe(true);
    expect(addon.isCached(fd, 5, 0)).toBe(true);
    expect(addon.isCached(fd, 40 * MIB, MIB)).toBe(false);
    expect(addon.isCached(-1, 0, 10)).toBe(true);
    addon.forgetCached(-1, 0, 10);
    for (const [offset, length] of [
      [-1, 1],
      [0, 0.5],
      [0, Number.NaN],
    ] as const) {
      expect(() => addon.isCached(fd, offset, length)).toThrow();
      expect(() => addon.forgetCached(fd, offset, length)).toThrow();
    }
  });
});
