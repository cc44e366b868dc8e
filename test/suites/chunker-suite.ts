/** Where every engine cuts. `engineSuite` runs it. */

import { beforeAll, describe, expect, it } from "vitest";
import { CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, type Cuts, type Engine } from "../../src/engine/engine.js";
import * as chunks from "../vectors/chunker.js";
import { hex, sha256Of, unaligned } from "./engine-support.js";

export function chunkerSuite(engineOf: () => Engine): void {
  describe("createChunker", () => {
    let stream: Buffer;
    beforeAll(() => {
      stream = chunks.makeStream();
    });

    it("cuts where restic cuts", async () => {
      const engine = engineOf();
      expect(hex(sha256Of(stream))).toBe(chunks.STREAM_HASH);
      const cuts = await engine.createChunker(chunks.RESTIC_POLYNOMIAL).cut(stream, { final: true });
      expect([...cuts.lengths].map((length, i) => [length, hex(cuts.ids.at(i)).slice(0, 16)])).toEqual(
        chunks.RESTIC_CHUNKS,
      );
      expect(cuts.consumed).toBe(stream.length);
    });

    it("cuts elsewhere with another polynomial", async () => {
      const engine = engineOf();
      const cuts = await engine.createChunker(chunks.OTHER_POLYNOMIAL).cut(stream, { final: true });
      expect([...cuts.lengths]).toEqual(chunks.OTHER_LENGTHS);
    });

    it("cuts zeros at the minimum", async () => {
      const engine = engineOf();
      const zeros = new Uint8Array(2 * CHUNK_MIN_BYTES + 5);
      for (const polynomial of [chunks.RESTIC_POLYNOMIAL, chunks.OTHER_POLYNOMIAL]) {
        const cuts = await engine.createChunker(polynomial).cut(zeros, { final: true });
        expect([...cuts.lengths]).toEqual([CHUNK_MIN_BYTES, CHUNK_MIN_BYTES, 5]);
        expect(hex(cuts.ids.at(0))).toBe(chunks.ZERO_CHUNK_ID);
      }
    });

    it("cuts at the maximum where nothing else offers", async () => {
      const engine = engineOf();
      // Found by search: with this byte repeated the fingerprint never ends in zeros.
      const data = new Uint8Array(CHUNK_MAX_BYTES + CHUNK_MIN_BYTES + 1).fill(0xff);
      const chunker = engine.createChunker(chunks.RESTIC_POLYNOMIAL);
      const cuts = await chunker.cut(data, { final: true });
      expect([...cuts.lengths]).toEqual([CHUNK_MAX_BYTES, CHUNK_MIN_BYTES + 1]);
      expect([...(await chunker.cut(data.subarray(0, CHUNK_MAX_BYTES), { final: false })).lengths]).toEqual([
        CHUNK_MAX_BYTES,
      ]);
      expect((await chunker.cut(data.subarray(0, CHUNK_MAX_BYTES - 1), { final: false })).consumed).toBe(0);
    });

    it("gives an empty file no chunk, and a short one a single chunk at its end only", async () => {
      const engine = engineOf();
      const chunker = engine.createChunker(chunks.RESTIC_POLYNOMIAL);
      expect((await chunker.cut(new Uint8Array(0), { final: true })).lengths.length).toBe(0);
      expect((await chunker.cut(stream.subarray(0, 1000), { final: false })).consumed).toBe(0);
      expect([...(await chunker.cut(stream.subarray(0, 1000), { final: true })).lengths]).toEqual([1000]);
    });

    it.each([100_000, 524_288, 1_000_003])("cuts the same when fed %i bytes at a time", async (step) => {
      const engine = engineOf();
      const chunker = engine.createChunker(chunks.RESTIC_POLYNOMIAL);
      const data = unaligned(stream.subarray(0, 6_000_000), 3);
      const whole = await chunker.cut(data, { final: true });
      const lengths: number[] = [];
      let start = 0;
      let scanned = 0;
      for (let end = step; start < data.length; end += step) {
        const available = data.subarray(start, Math.min(end, data.length));
        const cuts: Cuts = await chunker.cut(available, { final: end >= data.length, scanned });
        lengths.push(...cuts.lengths);
        start += cuts.consumed;
        scanned = available.length - cuts.consumed;
      }
      expect(lengths).toEqual([...whole.lengths]);
    });

    it("refuses polynomials that are not of degree 53, and impossible resumptions", async () => {
      const engine = engineOf();
      for (const polynomial of [0n, 1n, 2n ** 53n - 1n, 2n ** 54n, -chunks.RESTIC_POLYNOMIAL, 2n ** 64n])
        expect(() => engine.createChunker(polynomial)).toThrow(RangeError);
      const chunker = engine.createChunker(chunks.RESTIC_POLYNOMIAL);
      for (const scanned of [-1, 11, 0.5, Number.NaN])
        await expect(chunker.cut(new Uint8Array(10), { final: false, scanned })).rejects.toThrow(RangeError);
    });
  });
}
