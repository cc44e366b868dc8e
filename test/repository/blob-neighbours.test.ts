import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatId, type Id } from "../../src/bytes/id.js";
import { BlobIndex } from "../../src/repository/blob-index.js";
import { following, stretchAround } from "../../src/repository/blob-neighbours.js";

function id(text: string): Id {
  return new Uint8Array(createHash("sha256").update(text).digest()) as Id;
}

describe("neighbours of a blob", () => {
  it("are those behind a blob in its pack, up to a bound and to the end of the pack", () => {
    const index = new BlobIndex();
    const packed = Array.from({ length: 20 }, (_, i) => ({
      type: i === 15 ? ("tree" as const) : ("data" as const),
      id: id(`blob ${i}`),
      offset: i * 100,
      length: 100,
      uncompressedLength: 1000,
    }));
    index.add(id("first"), packed.slice(0, 10));
    index.add(id("second"), packed.slice(10));
    const behind = (i: number, maxBytes: number) =>
      following(index, "data", id(`blob ${i}`), maxBytes).map((found) => {
        expect(found.bytes).toBe(1000);
        return formatId(found.id);
      });
    const names = (from: number, to: number) => packed.slice(from, to).map((blob) => formatId(blob.id));
    expect(behind(2, 3000)).toEqual(names(3, 6));
    expect(behind(2, 2999)).toEqual(names(3, 5));
    expect(behind(2, 100_000)).toEqual(names(3, 10));
    expect(behind(12, 100_000)).toEqual(names(13, 15));
    expect(behind(9, 100_000)).toEqual([]);
    expect(behind(99, 100_000)).toEqual([]);
  });

  it("are those of a type that begin in the same stretch of a pack", () => {
    const index = new BlobIndex();
    const packed = Array.from({ length: 20 }, (_, i) => ({
      type: i === 15 ? ("data" as const) : ("tree" as const),
      id: id(`blob ${i}`),
      offset: (i % 10) * 100,
      length: 100,
      uncompressedLength: i === 2 ? 5000 : 1000,
    }));
    index.add(id("first"), packed.slice(0, 10));
    index.add(id("second"), packed.slice(10));
    const stretch = (i: number) => stretchAround(index, "tree", id(`blob ${i}`), 400)!;
    const names = (...wanted: number[]) => wanted.map((i) => formatId(id(`blob ${i}`)));
    const found = (i: number) =>
      stretch(i)
        .ids(1000)
        .map((blob) => formatId(blob));
    expect(found(1)).toEqual(names(0, 1, 3));
    expect(found(3)).toEqual(names(0, 1, 3));
    expect(found(9)).toEqual(names(8, 9));
    expect(found(14)).toEqual(names(14, 16, 17));
    const keys = packed.map(({ type }, i) => (type === "tree" ? stretch(i).key : undefined));
    expect(new Set(keys.slice(0, 4)).size).toBe(1);
    expect(new Set(keys.filter((key) => key !== undefined)).size).toBe(6);
    expect(stretchAround(index, "data", id("blob 1"), 400)).toBeUndefined();
  });
});
