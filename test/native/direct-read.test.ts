import { randomBytes, randomInt } from "node:crypto";
import { truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { DIRECT_ROOM_BYTES } from "../../src/native/direct-read-functions.js";
import { temporaryFolder } from "../support/temporary.js";

const addon = loadAddon()!;
const SIZE = 5 * 1024 * 1024 + 1234;

/** One that direct reads work on as a rule, and one that may know none. */
const PLACES: readonly (readonly [string, () => Promise<string>])[] = [
  ["the disk", () => temporaryFolder()],
  ["memory", () => mkdtemp("/dev/shm/yore-direct-")],
];

describe.skipIf(addonProblem() !== undefined).each(PLACES)("readDirect from %s", (_place, makeFolder) => {
  it("reads any range into memory that lies anyhow, and nothing beyond it", async () => {
    const folder = await makeFolder();
    try {
      const path = Buffer.from(join(folder, "file"));
      const content = randomBytes(SIZE);
      writeFileSync(path, content);
      const ranges: [offset: number, length: number][] = [
        [0, SIZE],
        [0, 0],
        [1, SIZE - 1],
        [4096, 4096],
        [4095, 2],
        [SIZE - 1, 1],
        [SIZE, 0],
        ...Array.from({ length: 50 }, (): [number, number] => {
          const offset = randomInt(SIZE);
          return [offset, randomInt(SIZE - offset)];
        }),
      ];
      for (const [offset, length] of ranges) {
        const shift = randomInt(5000);
        const memory = Buffer.alloc(shift + length + DIRECT_ROOM_BYTES + 64);
        const into = memory.subarray(shift, shift + length + DIRECT_ROOM_BYTES);
        const [start, got] = await addon.readDirect(path, offset, length, into);
        expect(got, `${length} at ${offset}`).toBe(length);
        expect(
          Buffer.compare(into.subarray(start, start + got), content.subarray(offset, offset + length)),
        ).toBe(0);
        expect(memory.subarray(0, shift).every((byte) => byte === 0)).toBe(true);
        expect(memory.subarray(shift + into.length).every((byte) => byte === 0)).toBe(true);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("says how much there was of a file that is shorter", async () => {
    const folder = await makeFolder();
    try {
      const path = Buffer.from(join(folder, "file"));
      writeFileSync(path, randomBytes(10_000));
      truncateSync(path, 9_000);
      const into = Buffer.alloc(20_000 + DIRECT_ROOM_BYTES);
      expect((await addon.readDirect(path, 5_000, 20_000, into))[1]).toBe(4_000);
      expect((await addon.readDirect(path, 9_000, 20_000, into))[1]).toBe(0);
      expect((await addon.readDirect(path, 2 ** 40, 1, into))[1]).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe.skipIf(addonProblem() !== undefined)("readDirect", () => {
  it("rejects as node:fs does, and refuses memory that is too short", async () => {
    const missing = Buffer.from(join(await temporaryFolder(), "missing"));
    const into = Buffer.alloc(DIRECT_ROOM_BYTES + 1);
    await expect(addon.readDirect(missing, 0, 1, into)).rejects.toMatchObject({
      code: "ENOENT",
      syscall: "open",
    });
    await expect(addon.readDirect(Buffer.from("/"), 0, 1, into)).rejects.toMatchObject({ code: "EISDIR" });
    expect(() => addon.readDirect(missing, 0, 2, into)).toThrow(RangeError);
    expect(() => addon.readDirect(missing, -1, 1, into)).toThrow(RangeError);
    expect(() => addon.readDirect(missing, 0, 1, Buffer.alloc(1))).toThrow(RangeError);
  });
});
