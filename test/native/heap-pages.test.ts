import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { giveBackMemory, LARGE_MEMORY_BYTES, largeMemory } from "../../src/bytes/large-memory.js";
import { loadAddon } from "../../src/native/addon.js";
import { itWhere } from "../support/where.js";

const addon = loadAddon()!;

/** The flags that Linux keeps of the mapping that takes the most memory; the address of a buffer is not to be had. */
function flagsOfLargestMapping(): string[] {
  let flags: string[] = [];
  let largest = 0;
  for (const mapping of readFileSync("/proc/self/smaps", "latin1").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const anonymous = Number(/^Anonymous: +(\d+) kB/m.exec(mapping)?.[1] ?? 0);
    if (anonymous <= largest) continue;
    largest = anonymous;
    flags = /^VmFlags: (.*)$/m.exec(mapping)![1]!.trim().split(" ");
  }
  return flags;
}

/** More than any other mapping of the process has. */
const BYTES = 128 * 1024 * 1024 + 4097;

describe("large memory", () => {
  itWhere(existsSync("/sys/kernel/mm/transparent_hugepage"))(
    "is asked for in huge pages, and holds what is put into it",
    () => {
      const memory = largeMemory(BYTES);
      memory.fill(0x5a);
      expect(flagsOfLargestMapping()).toContain("hg");
      expect(memory.length).toBe(BYTES);
      expect(memory.equals(Buffer.alloc(BYTES, 0x5a))).toBe(true);
    },
  );

  it.each([0, 1, 4096, LARGE_MEMORY_BYTES - 1, LARGE_MEMORY_BYTES, 3 * LARGE_MEMORY_BYTES + 5])(
    "has %i bytes",
    (bytes) => {
      const memory = largeMemory(bytes);
      expect(memory.length).toBe(bytes);
      memory.fill(0xa5);
      expect(addon.useHugePages(memory, bytes)).toBe(0);
      expect(memory.equals(Buffer.alloc(bytes, 0xa5))).toBe(true);
    },
  );

  it("begins with a huge page where there is room for it", () => {
    const memory = Buffer.alloc(3 * LARGE_MEMORY_BYTES);
    const start = addon.useHugePages(memory, LARGE_MEMORY_BYTES);
    expect(start).toBeLessThan(LARGE_MEMORY_BYTES);
    expect(addon.useHugePages(memory.subarray(start), 2 * LARGE_MEMORY_BYTES)).toBe(0);
    // Of a byte behind it, the next one is as far away as can be.
    expect(addon.useHugePages(memory.subarray(start + 1), LARGE_MEMORY_BYTES)).toBe(LARGE_MEMORY_BYTES - 1);
    expect(addon.useHugePages(memory, memory.length + 1)).toBe(0);
  });

  itWhere(process.platform === "linux")("is given back but for the page where the rest begins", () => {
    const memory = largeMemory(BYTES);
    memory.fill(0x5a);
    const taken = process.memoryUsage.rss();
    const kept = 2 * LARGE_MEMORY_BYTES;
    giveBackMemory(memory.subarray(0, BYTES - kept));
    expect(taken - process.memoryUsage.rss()).toBeGreaterThan(BYTES - kept - 2 * LARGE_MEMORY_BYTES);
    expect(memory.subarray(-kept).equals(Buffer.alloc(kept, 0x5a))).toBe(true);
    memory.fill(0xa5);
    expect(memory.equals(Buffer.alloc(BYTES, 0xa5))).toBe(true);
  });

  it("is given back where it fills no page, and nothing happens", () => {
    const memory = Buffer.alloc(4096 + 4095, 0x5a);
    for (const bytes of [0, 1, 4095]) giveBackMemory(memory.subarray(1, 1 + bytes));
    expect(memory.equals(Buffer.alloc(memory.length, 0x5a))).toBe(true);
  });

  it("is given as bytes, or nothing is done", () => {
    for (const memory of [undefined, 7, "text", {}, new ArrayBuffer(8)]) {
      expect(() => addon.useHugePages(memory as Uint8Array, 0)).toThrow(/"memory"/);
      expect(() => addon.giveBackPages(memory as Uint8Array)).toThrow(/"memory"/);
    }
    expect(() => addon.useHugePages(new Uint8Array(8), -1)).toThrow(/"bytes"/);
    expect(addon.useHugePages(new Uint8Array(0), 0)).toBe(0);
  });
});
