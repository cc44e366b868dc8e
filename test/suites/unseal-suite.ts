/** What every engine does with something sealed, sound or not. `engineSuite` runs it. */

import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.js";
import { incompressible, unframed } from "../vectors/zstd-frames.js";
import { bytes, failureOf, KEY, plaintextOf, sealElsewhere } from "./engine-support.js";

export function unsealSuite(engineOf: () => Engine): void {
  describe("unseal", () => {
    it.each([
      ["all ones", "ff".repeat(16)],
      ["trailing ones", `00${"ff".repeat(15)}`],
      ["a carry into the high half", `0102030405060708${"ff".repeat(8)}`],
      ["a carry after 8 MiB only", `01020304050607080910111213f80001`],
    ])("counts all 128 bits of an IV with %s", async (_, iv) => {
      const plaintext = randomBytes(600_000);
      const sealed = sealElsewhere(KEY, bytes(iv), plaintext);
      const [unsealed] = await engineOf().unseal(KEY, [{ sealed, uncompressedLength: 0, id: undefined }]);
      expect(plaintextOf(unsealed).equals(plaintext)).toBe(true);
    });

    it("refuses each single flipped bit", async () => {
      const plaintext = Buffer.from("a plaintext of some length");
      const [made] = await engineOf().seal(KEY, [{ plaintext, compressionLevel: undefined }]);
      const flipped = Array.from({ length: made!.sealed.length * 8 }, (_, bit) => {
        const sealed = Uint8Array.from(made!.sealed);
        sealed[bit >> 3] = sealed[bit >> 3]! ^ (1 << (bit & 7));
        return { sealed, uncompressedLength: 0, id: undefined };
      });
      const results = await engineOf().unseal(KEY, flipped);
      expect(results.map(failureOf).filter((failure) => failure !== "mac")).toEqual([]);
    });

    it("refuses what is too short, and an IV of zeros", async () => {
      const authentic = sealElsewhere(KEY, new Uint8Array(16), Buffer.from("never sealed by anybody"));
      const results = await engineOf().unseal(KEY, [
        { sealed: new Uint8Array(0), uncompressedLength: 0, id: undefined },
        { sealed: randomBytes(31), uncompressedLength: 0, id: undefined },
        { sealed: randomBytes(32), uncompressedLength: 0, id: undefined },
        { sealed: authentic, uncompressedLength: 0, id: undefined },
      ]);
      expect(results.map(failureOf)).toEqual(["too-short", "too-short", "mac", "mac"]);
    });

    it("says what is wrong with the content, and lets the others through", async () => {
      const plaintext = Buffer.alloc(5000, "abc");
      const [made] = await engineOf().seal(KEY, [{ plaintext, compressionLevel: 3 }]);
      const [stored] = await engineOf().seal(KEY, [{ plaintext, compressionLevel: undefined }]);
      const id = engineOf().hash(plaintext);
      const results = await engineOf().unseal(KEY, [
        { ...made!, id },
        { ...made!, uncompressedLength: 4999, id },
        { ...made!, uncompressedLength: 5001, id },
        { ...made!, id: engineOf().hash(Buffer.from("another")) },
        { ...stored!, uncompressedLength: 5000, id },
        { ...stored!, id },
      ]);
      expect(results.map(failureOf)).toEqual([
        "unsealed",
        "length",
        "length",
        "hash",
        "decompress",
        "unsealed",
      ]);
    });

    it("reads frames that do not say how long they are", async () => {
      const plaintext = incompressible(2_500_000);
      const sealed = sealElsewhere(KEY, randomBytes(16), unframed(plaintext));
      const input = { sealed, uncompressedLength: plaintext.length, id: engineOf().hash(plaintext) };
      const results = await engineOf().unseal(KEY, [
        input,
        { ...input, uncompressedLength: plaintext.length - 1 },
      ]);
      expect(plaintextOf(results[0]).equals(plaintext)).toBe(true);
      expect(failureOf(results[1])).toBe("length");
    });
  });

  describe("unseal of long frames", () => {
    // Blocks of 128 KiB: the plaintext takes three.
    const plaintext = incompressible(300_000);
    const frames = unframed(plaintext);
    const thirdBlock = 6 + 2 * (3 + 128 * 1024);
    const skippable = Buffer.concat([bytes("502a4d18"), bytes("78563400"), Buffer.alloc(0x345678)]);
    const changed = Buffer.from(frames);
    // The type that is reserved.
    changed[thirdBlock]! |= 6;
    const unseal = async (content: Uint8Array, wanted: Uint8Array, length: number) => {
      const sealed = sealElsewhere(KEY, randomBytes(16), content);
      const id = engineOf().hash(wanted);
      return failureOf((await engineOf().unseal(KEY, [{ sealed, uncompressedLength: length, id }]))[0]);
    };

    it.each([
      ["one", frames, plaintext],
      ["two", Buffer.concat([frames, frames]), Buffer.concat([plaintext, plaintext])],
      ["one behind what is to be skipped", Buffer.concat([skippable, frames]), plaintext],
      ["one before what is to be skipped", Buffer.concat([frames, skippable]), plaintext],
    ])("takes %s, of the right length only", async (_, content, wanted) => {
      expect(await unseal(content, wanted, wanted.length)).toBe("unsealed");
      expect(await unseal(content, wanted, wanted.length - 1)).toBe("length");
      expect(await unseal(content, wanted, wanted.length + 1)).toBe("length");
      expect(await unseal(content, wanted, wanted.length - 200_000)).toBe("length");
    });

    it.each([
      ["a byte is missing", frames.subarray(0, -1)],
      ["the last block is missing", frames.subarray(0, thirdBlock)],
      ["half is missing", frames.subarray(0, 150_000)],
      ["something else comes behind them", Buffer.concat([frames, bytes("00")])],
      ["the second one is cut off", Buffer.concat([frames, frames.subarray(0, 100_000)])],
      ["a block is of no known type", changed],
      ["they are none at all", incompressible(200_000)],
    ])("refuses them when %s", async (_, content) => {
      const length = plaintext.length * Math.ceil(content.length / frames.length);
      expect(await unseal(content, plaintext, length)).toBe("decompress");
    });
  });
}
