import { describe, expect, it } from "vitest";
import { ROOM_FOR_BLOCKS } from "../../src/backend/backend.js";
import { RangeBuffers } from "../../src/repository/range-buffers.js";

const MIB = 1024 * 1024;

describe("RangeBuffers", () => {
  it("hands out memory that nobody else has, whatever the order in which it comes back", () => {
    const buffers = new RangeBuffers();
    const held = new Map<number, Uint8Array>();
    let random = 1;
    for (let i = 1; i <= 3000; i++) {
      random = (random * 48_271) % 2_147_483_647;
      if (held.size > 10 || (held.size > 0 && random % 2 === 0)) {
        const [number, buffer] = [...held][random % held.size]!;
        expect(buffer.every((byte) => byte === number)).toBe(true);
        held.delete(number);
        buffers.giveBack(buffer);
      } else {
        const length = random % (i % 7 === 0 ? 300_000 : 5000);
        const buffer = buffers.take(length);
        expect(buffer.length).toBeGreaterThanOrEqual(length + ROOM_FOR_BLOCKS);
        const number = i % 251;
        if (held.has(number)) continue;
        held.set(number, buffer.fill(number));
      }
    }
    for (const [number, buffer] of held) expect(buffer.every((byte) => byte === number)).toBe(true);
  });

  it("uses the same memory again and again, its front first", () => {
    const buffers = new RangeBuffers();
    const first = buffers.take(8 * MIB);
    const second = buffers.take(8 * MIB);
    expect(second.buffer).toBe(first.buffer);
    for (let i = 0; i < 10; i++) {
      buffers.giveBack(first);
      expect(buffers.take(8 * MIB).byteOffset).toBe(first.byteOffset);
    }
  });

  it("makes memory where there is none left, and for what is larger than all of it", () => {
    const buffers = new RangeBuffers();
    const held = Array.from({ length: 6 }, () => buffers.take(8 * MIB));
    const slab = held[0]!.buffer;
    expect(held.filter(({ buffer }) => buffer === slab).length).toBe(3);
    for (const buffer of held) buffers.giveBack(buffer);
    expect(buffers.take(40 * MIB).length).toBeGreaterThanOrEqual(40 * MIB);
    expect(buffers.take(8 * MIB).buffer).toBe(slab);
  });

  it("never hands out again what somebody may still write to", () => {
    const buffers = new RangeBuffers();
    const [good, bad] = [buffers.take(MIB), buffers.take(MIB)];
    buffers.abandon(bad);
    const next = buffers.take(MIB);
    expect(next.buffer).not.toBe(bad.buffer);
    // Of the memory before; it comes back late.
    buffers.giveBack(good);
    const after = buffers.take(MIB);
    expect(after.buffer).toBe(next.buffer);
    expect(after.byteOffset).not.toBe(next.byteOffset);
  });
});
