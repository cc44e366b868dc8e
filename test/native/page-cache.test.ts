import { randomBytes } from "node:crypto";
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;
const MIB = 1024 * 1024;

describe.skipIf(addonProblem() !== undefined)("page cache functions of the addon", () => {
  let fd: number;
  beforeEach(async () => {
    fd = openSync(join(await temporaryFolder(), "file"), "w+");
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

  it("read a range past the cache, at any place of the file and of the memory, and nothing that is not there", async () => {
    const content = randomBytes(4 * MIB);
    writeSync(fd, content, 0, content.length, 0);
    const memory = Buffer.alloc(5 * MIB);
    // A file system may have no way around its cache.
    const canPass = opens(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_DIRECT);
    // What was written and is not on the disk yet is part of the file.
    for (const [offset, length, at] of [
      [0, 4 * MIB, 0],
      [1, MIB, 1],
      [4095, 4098, 4095],
      [4096, 4096, 512],
      [4 * MIB - 1, 1, 7],
      [5, 0, 0],
    ] as const) {
      const into = memory.fill(0).subarray(at, at + length + 3 * 4096);
      const start = await addon.readAroundCache(fd, offset, length, into);
      if (start < 0 && !canPass) return;
      expect(into.subarray(start, start + length).equals(content.subarray(offset, offset + length))).toBe(
        true,
      );
      expect(memory.subarray(0, at).every((byte) => byte === 0)).toBe(true);
      expect(memory.subarray(at + into.length).every((byte) => byte === 0)).toBe(true);
    }
    expect(await addon.readAroundCache(fd, 4 * MIB - 10, 11, memory)).toBe(-1);
    expect(await addon.readAroundCache(fd, 9 * MIB, 1, memory)).toBe(-1);
    expect(await addon.readAroundCache(fd, 0, MIB, memory.subarray(0, MIB))).toBe(-1);
    expect(await addon.readAroundCache(-1, 0, MIB, memory)).toBe(-1);
    expect(() => addon.readAroundCache(fd, -1, 1, memory)).toThrow();
    expect(() => addon.readAroundCache(fd, 0, 1, "memory" as never)).toThrow();
    // The descriptor reads as before.
    const some = Buffer.alloc(100);
    expect(readSync(fd, some, 1, 50, 3)).toBe(50);
    expect(some.subarray(1, 51).equals(content.subarray(3, 53))).toBe(true);
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

function opens(path: string, flags: number): boolean {
  try {
    closeSync(openSync(path, flags));
    return true;
  } catch {
    return false;
  }
}
