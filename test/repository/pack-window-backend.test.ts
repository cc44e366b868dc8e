import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { Handle, LoadRange } from "../../src/backend/backend.js";
import { MemoryBackend } from "../../src/backend/memory-backend.js";
import { PackWindowBackend } from "../../src/repository/pack-window-backend.js";
import { backendSuite, nameOf } from "../suites/backend-suite.js";
import { wrapBackend } from "./support.js";

const WINDOW = 256 * 1024;

backendSuite("PackWindowBackend", async () => {
  const backend = new MemoryBackend();
  return { open: async () => new PackWindowBackend(backend), remove: async () => {} };
});

describe("PackWindowBackend", () => {
  const pack = randomBytes(3 * WINDOW + 1000);
  const handle: Handle = { type: "pack", name: nameOf(pack) };
  let loads: LoadRange[];
  let backend: PackWindowBackend;
  beforeEach(async () => {
    loads = [];
    const memory = new MemoryBackend();
    await memory.save(handle, [pack]);
    const counting = wrapBackend(memory, {
      load: (which, range) => {
        loads.push(range ?? {});
        return memory.load(which, range);
      },
    });
    backend = new PackWindowBackend(counting);
  });

  it.each([
    [0, 1],
    [0, WINDOW],
    [5, WINDOW],
    [WINDOW - 1, 2],
    [WINDOW, WINDOW],
    [3 * WINDOW - 500, 1500],
    [3 * WINDOW, 1000],
    [2 * WINDOW + 17, WINDOW],
  ])("gives what lies at %i, %i bytes, with memory of the caller and without", async (offset, length) => {
    const wanted = pack.subarray(offset, offset + length);
    for (const into of [
      undefined,
      Buffer.alloc(length),
      Buffer.alloc(length + 10),
      Buffer.alloc(length - 1),
    ]) {
      const range = { offset, length, ...(into ? { into } : {}) };
      expect(wanted.equals(await backend.load(handle, range))).toBe(true);
    }
    // Two windows at most, however often they are asked for.
    expect(loads.length).toBeLessThanOrEqual(2);
  });

  it.each([0, 7, WINDOW, 3 * WINDOW + 1000])(
    "gives nothing at %i where nothing is asked for",
    async (offset) => {
      expect((await backend.load(handle, { offset, length: 0 })).length).toBe(0);
    },
  );

  it.each([
    [3 * WINDOW + 990, 11],
    [3 * WINDOW - 10, 1011],
    [4 * WINDOW, 1],
  ])("lets the backend say that a pack ends before %i and %i bytes", async (offset, length) => {
    await expect(backend.load(handle, { offset, length })).rejects.toThrow(
      `${handle.name.slice(0, 8)}: file is too short`,
    );
  });

  it("reads again what came damaged and no more, and keeps what is beside it", async () => {
    const load = async (offset: number) => backend.load(handle, { offset, length: 100 });
    for (const offset of [1000, 2000, 3000]) await load(offset);
    for (const offset of [1000, 2000]) {
      await backend.distrust(handle, offset, 100);
      expect(pack.subarray(offset, offset + 100).equals(await load(offset))).toBe(true);
    }
    await load(3000);
    const exact = [1000, 2000].map((offset) => expect.objectContaining({ offset, length: 100 }));
    expect(loads).toEqual([expect.objectContaining({ length: WINDOW }), ...exact]);
  });
});
