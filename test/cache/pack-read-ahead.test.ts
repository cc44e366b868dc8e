import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Id, idFromBytes } from "../../src/bytes/id.js";
import { PackReadAhead } from "../../src/cache/pack-read-ahead.js";

const KIB = 1024;
const idOf = (number: number): Id => {
  const id = createHash("sha256").update(`${number}`).digest();
  id.writeUInt32LE(number, 28);
  return idFromBytes(id);
};
const numberOf = (id: Id) => new DataView(id.buffer, id.byteOffset).getUint32(28, true);

/** A pack of blobs of one size, read in an order; what `PackReadAhead` wants is there at once. */
function readAll(order: Iterable<number>, blobBytes: number): { misses: number; windows: number[] } {
  const ahead = new PackReadAhead();
  const here = new Set<number>();
  const outcome = { misses: 0, windows: [] as number[] };
  for (const number of order) {
    const isHere = here.has(number);
    if (!isHere) outcome.misses++;
    here.add(number);
    const window = ahead.note(idOf(number), isHere);
    if (!window) continue;
    outcome.windows.push(window.bytes);
    const first = numberOf(window.from) + 1;
    const ids = Array.from({ length: Math.floor(window.bytes / blobBytes) }, (_, i) => idOf(first + i));
    const fresh = ids.filter((id) => !here.has(numberOf(id)));
    ahead.started(fresh.map((id) => ({ id, bytes: blobBytes })));
    for (const id of fresh) here.add(numberOf(id));
  }
  return outcome;
}

describe("PackReadAhead", () => {
  it("stays ahead of who reads in the order of the pack, with larger and larger windows", () => {
    const { misses, windows } = readAll(Array(10_000).keys(), 8 * KIB);
    expect(misses).toBe(1);
    expect(windows[0]).toBe(64 * KIB);
    expect(windows.at(-1)).toBe(6144 * KIB);
    expect(windows.length).toBeLessThan(100);
  });

  it("keeps to the smallest window for who reads here and there", () => {
    const order = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1_000_003);
    const { windows } = readAll(order, 8 * KIB);
    expect(Math.max(...windows)).toBe(64 * KIB);
  });

  it("makes the window small again when what it loaded is not used any more", () => {
    const { windows } = readAll(
      [...Array(2000).keys(), ...Array.from({ length: 50 }, (_, i) => 10_000 * (i + 1))],
      8 * KIB,
    );
    expect(windows.at(-1)).toBe(64 * KIB);
  });
});
