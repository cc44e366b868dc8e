import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { idFromBytes, idKey } from "../../src/bytes/id.js";
import { GoneBlobs } from "../../src/cache/gone-blobs.js";

const keyOf = (number: number) => idKey(idFromBytes(createHash("sha256").update(`${number}`).digest()));

describe("GoneBlobs", () => {
  it("knows what was given up within so many bytes, and says so once", () => {
    const gone = new GoneBlobs(1000);
    for (let i = 0; i < 20; i++) gone.add(keyOf(i), 100);
    const found = Array.from({ length: 20 }, (_, i) => i).filter((i) => gone.take(keyOf(i)));
    expect(found).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    expect(found.some((i) => gone.take(keyOf(i)))).toBe(false);
  });

  it("knows nothing of what was never given up", () => {
    const gone = new GoneBlobs(1e9);
    for (let i = 0; i < 5000; i++) gone.add(keyOf(i), 100);
    const wrong = Array.from({ length: 5000 }, (_, i) => keyOf(10_000 + i)).filter((key) => gone.take(key));
    expect(wrong).toEqual([]);
  });
});
