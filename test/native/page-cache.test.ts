import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
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
