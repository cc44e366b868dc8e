/** What every engine does with sealed things that lie in one piece of memory. `engineSuite` runs it. */

import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { failureOf, hex, KEY, plaintextOf, sha256Of } from "./engine-support.js";

export function sealedPartsSuite(engineOf: () => Engine): void {
  describe("unsealParts", () => {
    it("unseals parts of one piece of memory, and one failure does not touch the others", async () => {
      const engine = engineOf();
      const texts = ["first", "", "x".repeat(5000), "stored", "last"].map((text) => Buffer.from(text));
      const sealed = await engine.seal(
        KEY,
        texts.map((plaintext, i) => ({ plaintext, compressionLevel: i === 3 ? undefined : 3 })),
      );
      let offset = 7;
      const parts = sealed.map((one, i) => {
        const { length } = one.sealed;
        offset += length;
        const id = engine.hash(texts[i]!);
        return { offset: offset - length, length, uncompressedLength: one.uncompressedLength, id };
      });
      const memory = Buffer.concat([Buffer.alloc(7), ...sealed.map((one) => one.sealed)]);
      const into = Buffer.alloc(6000, 0xee);
      const good = await engine.unsealParts(KEY, memory, parts, into);
      expect(good.map((one) => plaintextOf(one).toString())).toEqual(texts.map(String));
      memory[parts[2]!.offset + 20]! ^= 1;
      const wrong = [
        ...parts,
        { ...parts[0]!, id: engine.hash(Buffer.from("other")) },
        { ...parts[0]!, uncompressedLength: 6 },
        { ...parts[4]!, offset: memory.length - 31, length: 40, uncompressedLength: 0 },
        { ...parts[4]!, offset: memory.length + 9, uncompressedLength: 0 },
      ];
      const results = await engine.unsealParts(KEY, memory, wrong, Buffer.alloc(6000));
      expect(results.map(failureOf)).toEqual([
        "unsealed",
        "unsealed",
        "mac",
        "unsealed",
        "unsealed",
        "hash",
        "length",
        "too-short",
        "too-short",
      ]);
      const verifier = engine.createPackVerifier(KEY);
      const failures = results.map((one) => ("failure" in one ? one.failure : undefined));
      expect(await verifier.verify(memory, wrong)).toEqual(failures);
      expect(await verifier.verify(Buffer.alloc(0), [])).toEqual([]);
      expect(Buffer.from(verifier.finish())).toEqual(sha256Of(memory));
      expect(plaintextOf(results[4]).toString()).toBe("last");
      expect(await engine.unsealParts(KEY, memory, [], into)).toEqual([]);
    });

    it("hashes a pack that comes in pieces of any lengths, several packs at a time", async () => {
      const engine = engineOf();
      const pieces = [0, 1, 63, 64, 65, 100, 27, 1, 63, 128, 0, 5, 59, 4096, 200_001, 3];
      const packs = [pieces, pieces.toReversed(), [], [55], [56], [64], [119, 1]];
      await Promise.all(
        packs.map(async (lengths) => {
          const verifier = engine.createPackVerifier(KEY);
          const whole: Buffer[] = [];
          for (const length of lengths) {
            const text = randomBytes(length + (length % 5));
            const [sealed] = await engine.seal(KEY, [{ plaintext: text, compressionLevel: undefined }]);
            const ahead = randomBytes(length);
            const piece = Buffer.concat([ahead, sealed!.sealed]);
            const part = {
              offset: length,
              length: sealed!.sealed.length,
              uncompressedLength: 0,
              id: engine.hash(text),
            };
            whole.push(ahead, Buffer.from(sealed!.sealed));
            expect(await verifier.verify(ahead, [])).toEqual([]);
            expect(await verifier.verify(piece.subarray(length), [{ ...part, offset: 0 }])).toEqual([
              undefined,
            ]);
            const other = engine.createPackVerifier(KEY);
            expect(await other.verify(piece, [part, { ...part, id: engine.hash(piece) }])).toEqual([
              undefined,
              "hash",
            ]);
            expect(hex(other.finish())).toBe(hex(sha256Of(piece)));
          }
          expect(hex(verifier.finish())).toBe(hex(sha256Of(Buffer.concat(whole))));
        }),
      );
    });

    it("tells the damaged from the sound among many large parts at once", async () => {
      const engine = engineOf();
      const texts = Array.from({ length: 24 }, (_, i) => randomBytes(260_000 + 100_000 * (i % 5)));
      const sealed = await engine.seal(
        KEY,
        texts.map((plaintext, i) => ({ plaintext, compressionLevel: i % 2 ? 3 : undefined })),
      );
      const results = await Promise.all(
        sealed.map(async ({ sealed: memory, uncompressedLength }, i) => {
          if (i % 7 === 2) memory[1000]! ^= 1;
          const id = engine.hash(i % 5 === 3 ? Buffer.from("other") : texts[i]!);
          const part = { offset: 0, length: memory.length, uncompressedLength, id };
          return (await engine.unsealParts(KEY, memory, [part], Buffer.alloc(texts[i]!.length)))[0]!;
        }),
      );
      for (const [i, result] of results.entries()) {
        const failure = i % 7 === 2 ? "mac" : i % 5 === 3 ? "hash" : "unsealed";
        expect(failureOf(result)).toBe(failure);
        if (failure === "unsealed") expect(hex(sha256Of(plaintextOf(result)))).toBe(hex(sha256Of(texts[i]!)));
      }
    });

    it("tells the damaged from the sound in packs of any parts, and verifies them the same", async () => {
      const engine = engineOf();
      // More than fit into one batch in number, in bytes, and alone.
      const lengths = [...Array(40).keys(), 300_000, 5, 90_000, 90_000, 90_000, 0, 0, 1_500_000, 7, 200_000];
      const texts = lengths.map((length, i) =>
        i % 2 ? randomBytes(length) : Buffer.alloc(length, `words ${i}, `),
      );
      const sealed = await engine.seal(
        KEY,
        texts.map((plaintext, i) => ({ plaintext, compressionLevel: i % 3 ? 3 : undefined })),
      );
      let offset = 0;
      const parts = sealed.map(({ sealed: { length }, uncompressedLength }, i) => {
        offset += length;
        const id = engine.hash(i % 7 === 3 ? Buffer.from("other") : texts[i]!);
        return { offset: offset - length, length, uncompressedLength, id };
      });
      const pack = Buffer.concat([...sealed.map((one) => one.sealed), randomBytes(100)]);
      for (const [i, part] of parts.entries()) if (i % 11 === 5) pack[part.offset + 3]! ^= 1;
      const expected = parts.map((_, i) => (i % 11 === 5 ? "mac" : i % 7 === 3 ? "hash" : undefined));
      const whole = engine.createPackVerifier(KEY);
      expect(await whole.verify(pack, parts)).toEqual(expected);
      expect(hex(whole.finish())).toBe(hex(sha256Of(pack)));
      const into = Buffer.alloc(
        lengths.reduce((sum, length) => sum + length, 0),
        0xee,
      );
      const results = await engine.unsealParts(KEY, pack, parts, into);
      for (const [i, result] of results.entries()) {
        if (expected[i]) expect(failureOf(result)).toBe(expected[i]);
        else expect(plaintextOf(result).equals(texts[i]!)).toBe(true);
      }
    });
  });
}
