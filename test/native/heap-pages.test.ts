import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LARGE_MEMORY_BYTES, largeMemory } from "../../src/bytes/large-memory.js";
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
      addon.useHugePages(memory);
      expect(memory.equals(Buffer.alloc(bytes, 0xa5))).toBe(true);
    },
  );

  it("is given as bytes, or nothing is done", () => {
    for (const memory of [undefined, 7, "text", {}, new ArrayBuffer(8)])
      expect(() => addon.useHugePages(memory as Uint8Array)).toThrow(/"memory"/);
    expect(addon.useHugePages(new Uint8Array(0))).toBeUndefined();
  });
});
