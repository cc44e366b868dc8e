import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Id, IdList, idKey } from "../../src/bytes/id.js";
import { FileLayout, isZeroChunk, ZERO_CHUNK_BYTES, zeroBytes } from "../../src/snapfs/file-layout.js";

const ZERO_ID = createHash("sha256").update(Buffer.alloc(ZERO_CHUNK_BYTES)).digest();

/** A layout of blobs with these lengths; `null` is unknown to the index, "zero" a zero chunk. */
function layoutOf(lengths: readonly (number | null | "zero")[], size: number): FileLayout {
  const known = new Map<string, number>([[idKey(ZERO_ID), ZERO_CHUNK_BYTES]]);
  const ids = lengths.map((length, i) => {
    if (length === "zero") return ZERO_ID;
    const id = createHash("sha256").update(`${i}`).digest();
    if (length !== null) known.set(idKey(id), length);
    return id;
  });
  return new FileLayout(IdList.from(ids), size, (id: Id) => known.get(idKey(id)));
}

describe("FileLayout", () => {
  it("slices cover every range exactly, as a plain walk over the blobs does", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }),
        fc.nat(120),
        fc.nat(120),
        (lengths, offset, length) => {
          const layout = layoutOf(lengths, 0);
          const bytes = lengths.flatMap((n, blob) => Array.from({ length: n }, (_, at) => `${blob}:${at}`));
          const seen = layout
            .slices(offset, length)
            .flatMap(({ blob, from, to }) =>
              Array.from({ length: to - from }, (_, i) => `${blob}:${from + i}`),
            );
          expect(seen).toEqual(bytes.slice(offset, offset + length));
          expect(layout.size).toBe(bytes.length);
        },
      ),
    );
  });

  it("one unknown length follows from the size of the file", () => {
    const layout = layoutOf([10, null, 30], 60);
    expect(layout.isWhole).toBe(false);
    expect(layout.size).toBe(60);
    expect(layout.slices(5, 30)).toEqual([
      { blob: 0, from: 5, to: 10 },
      { blob: 1, from: 0, to: 20 },
      { blob: 2, from: 0, to: 5 },
    ]);
    expect([0, 1, 2].map((blob) => layout.isPlaced(blob))).toEqual([true, true, true]);
  });

  it("with several unknown lengths, what lies before and behind them is where it was", () => {
    const layout = layoutOf([10, null, 7, null, 30], 100);
    expect(layout.size).toBe(100);
    expect([0, 1, 2, 3, 4].map((blob) => layout.isPlaced(blob))).toEqual([true, false, false, false, true]);
    expect(layout.slices(70, 10)).toEqual([{ blob: 4, from: 0, to: 10 }]);
    expect(layout.slices(0, 10)).toEqual([{ blob: 0, from: 0, to: 10 }]);
    expect(layout.slices(10, 1).map(({ blob }) => layout.isPlaced(blob))).toEqual([false]);
  });

  it("a blob that is missing has a byte at least, whatever the size says", () => {
    for (const size of [0, 10, 17]) {
      const layout = layoutOf([10, null, 7], size);
      expect(layout.slices(0, 100).map(({ blob }) => blob)).toEqual([0, 1, 2]);
      expect(layout.size).toBe(18);
    }
    expect(layoutOf([null, 7, null], 0).slices(0, 100)).toEqual([{ blob: 0, from: 0, to: 1 }]);
  });

  it("knows the zero chunk by its ID", () => {
    expect(isZeroChunk(ZERO_ID)).toBe(true);
    expect(isZeroChunk(Buffer.alloc(32))).toBe(false);
    expect(zeroBytes(IdList.from([ZERO_ID, Buffer.alloc(32, 7), ZERO_ID]))).toBe(2 * ZERO_CHUNK_BYTES);
  });

  it("seek finds data and holes, and the end counts as a hole", () => {
    const z = ZERO_CHUNK_BYTES;
    const layout = layoutOf([10, "zero", "zero", 20], 0);
    expect(layout.seek(0, "data")).toBe(0);
    expect(layout.seek(0, "hole")).toBe(10);
    expect(layout.seek(10, "hole")).toBe(10);
    expect(layout.seek(11, "data")).toBe(10 + 2 * z);
    expect(layout.seek(10 + 2 * z, "hole")).toBe(30 + 2 * z);
    expect(layout.seek(30 + 2 * z, "hole")).toBeUndefined();
    expect(layoutOf(["zero"], 0).seek(5, "data")).toBeUndefined();
    expect(layoutOf([], 0).seek(0, "hole")).toBeUndefined();
  });
});
