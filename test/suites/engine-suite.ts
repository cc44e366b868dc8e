/**
 * What every engine does. Each implementation runs it:
 *
 *     engineSuite("portable", () => PortableEngine.create(), (key, nonce, data) => poly1305Aes(key, nonce, data));
 */

import { createDecipheriv, randomBytes } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { idFromBytes } from "../../src/bytes/id.js";
import { type Engine, maxSealedLength, SEAL_OVERHEAD } from "../../src/engine/engine.js";
import { DamagedError, FormatError } from "../../src/errors.js";
import { temporaryFolder } from "../support/temporary.js";
import { POLY1305_AES_VECTORS, RFC_8439_POLY1305 } from "../vectors/poly1305-aes.js";
import { SCRYPT_VECTORS } from "../vectors/scrypt.js";
import { SHA256_VECTORS } from "../vectors/sha256.js";
import { incompressible, unframed } from "../vectors/zstd-frames.js";
import { chunkerSuite } from "./chunker-suite.js";
import { bytes, hex, KEY, plaintextOf, sealElsewhere, sha256Of, unaligned } from "./engine-support.js";
import { sealedPartsSuite } from "./sealed-parts-suite.js";
import { unsealSuite } from "./unseal-suite.js";

export type Poly1305Aes = (
  key: { macK: Uint8Array; macR: Uint8Array },
  nonce: Uint8Array,
  data: Uint8Array,
) => Uint8Array | Promise<Uint8Array>;

export function engineSuite(name: string, make: () => Promise<Engine>, poly1305Aes: Poly1305Aes): void {
  describe(`${name} engine`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await make();
    });

    it("has its name", () => expect(engine.name).toBe(name));

    describe("hash", () => {
      it.each(SHA256_VECTORS)("gives SHA-256 of $text.length letters as FIPS 180-4 does", async (vector) => {
        const data = Buffer.from(vector.text);
        expect(hex(engine.hash(data))).toBe(vector.hash);
        expect(hex((await engine.hashAll([data])).at(0))).toBe(vector.hash);
        const parts = engine.createHash();
        for (let at = 0; at < data.length; at += 997) parts.update(data.subarray(at, at + 997));
        expect(hex(parts.digest())).toBe(vector.hash);
      });

      it("hashes many, and none", async () => {
        const inputs = Array.from({ length: 100 }, (_, i) => randomBytes(i * 37));
        const ids = await engine.hashAll(inputs);
        expect([...ids].map(hex)).toEqual(inputs.map((input) => hex(sha256Of(input))));
        expect((await engine.hashAll([])).length).toBe(0);
      });

      it("hashes all vectors at once, and any lengths side by side", async () => {
        const vectors = await engine.hashAll(SHA256_VECTORS.map(({ text }) => Buffer.from(text)));
        expect([...vectors].map(hex)).toEqual(SHA256_VECTORS.map(({ hash }) => hash));
        const lengths = [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 70_001];
        const pairs = lengths.flatMap((a) => lengths.map((b) => [randomBytes(a), randomBytes(b)]));
        const triples = lengths.map((a) => [randomBytes(a), randomBytes(64), randomBytes(129 - (a % 130))]);
        for (const inputs of [...pairs, ...triples, pairs.flat()]) {
          const ids = await engine.hashAll(inputs);
          expect([...ids].map(hex)).toEqual(inputs.map((input) => hex(sha256Of(input))));
        }
      });
    });

    describe("Poly1305-AES", () => {
      it.each(POLY1305_AES_VECTORS)("gives the MAC of the paper's appendix B: $mac", async (vector) => {
        const key = { macK: bytes(vector.k), macR: bytes(vector.r) };
        const mac = await poly1305Aes(key, bytes(vector.nonce), bytes(vector.message));
        expect(hex(mac)).toBe(vector.mac);
      });

      it("gives the tag of RFC 8439, section 2.5.2", async () => {
        const macK = randomBytes(16);
        const nonce = createDecipheriv("aes-128-ecb", macK, null)
          .setAutoPadding(false)
          .update(bytes(RFC_8439_POLY1305.s));
        const key = { macK, macR: bytes(RFC_8439_POLY1305.r) };
        expect(hex(await poly1305Aes(key, nonce, bytes(RFC_8439_POLY1305.message)))).toBe(
          RFC_8439_POLY1305.mac,
        );
      });
    });

    describe("seal", () => {
      it.each([
        [0, undefined],
        [1, undefined],
        [15, undefined],
        [16, 3],
        [17, -5],
        [1000, 1],
        [65_537, 7],
        [1_500_001, 3],
        [1_500_001, undefined],
      ])("makes of %i bytes at level %s what unseal gives back", async (length, compressionLevel) => {
        const plaintext = Buffer.alloc(length, "the same words again and again, ");
        const [sealed] = await engine.seal(KEY, [{ plaintext, compressionLevel }], { verify: true });
        expect(sealed!.uncompressedLength).toBe(compressionLevel === undefined ? 0 : length);
        if (compressionLevel === undefined) expect(sealed!.sealed.length).toBe(length + SEAL_OVERHEAD);
        const id = engine.hash(plaintext);
        const [unsealed] = await engine.unseal(KEY, [{ ...sealed!, id }]);
        expect(plaintextOf(unsealed).equals(plaintext)).toBe(true);
      });

      it("never compresses nothing", async () => {
        const [made] = await engine.seal(KEY, [{ plaintext: new Uint8Array(0), compressionLevel: 3 }]);
        expect(made!.uncompressedLength).toBe(0);
        expect(made!.sealed.length).toBe(SEAL_OVERHEAD);
      });

      it("uses an IV of its own for each", async () => {
        const input = { plaintext: Buffer.from("once"), compressionLevel: undefined };
        const made = await engine.seal(KEY, Array(64).fill(input));
        expect(new Set(made.map(({ sealed }) => hex(sealed.subarray(0, 16)))).size).toBe(64);
      });

      it("writes the envelope that others read", async () => {
        const plaintext = randomBytes(3333);
        const [made] = await engine.seal(KEY, [{ plaintext, compressionLevel: undefined }]);
        const again = sealElsewhere(KEY, made!.sealed.subarray(0, 16), plaintext);
        expect(hex(made!.sealed)).toBe(hex(again));
      });

      it("leaves what it is given as it was", async () => {
        const plaintext = randomBytes(1_200_000);
        const before = hex(sha256Of(plaintext));
        const [made] = await engine.seal(KEY, [{ plaintext, compressionLevel: undefined }]);
        const sealed = Buffer.from(made!.sealed);
        await engine.unseal(KEY, [{ sealed, uncompressedLength: 0, id: undefined }]);
        expect(hex(sha256Of(plaintext))).toBe(before);
        expect(sealed.equals(made!.sealed)).toBe(true);
      });

      it("takes inputs at any address, and none at all", async () => {
        for (let offset = 1; offset < 16; offset++) {
          const plaintext = randomBytes(1000 + offset);
          const inputs = [
            { plaintext: unaligned(plaintext, offset), compressionLevel: offset % 2 ? 3 : undefined },
          ];
          const [made] = await engine.seal(KEY, inputs);
          const moved = { ...made!, sealed: unaligned(made!.sealed, 16 - offset), id: undefined };
          expect(plaintextOf((await engine.unseal(KEY, [moved]))[0]).equals(plaintext)).toBe(true);
        }
        expect(await engine.seal(KEY, [])).toEqual([]);
        expect(await engine.unseal(KEY, [])).toEqual([]);
      });

      it("refuses levels and lengths that cannot be", async () => {
        const plaintext = new Uint8Array(10);
        for (const level of [23, -200_000, 1.5, Number.NaN]) {
          await expect(engine.seal(KEY, [{ plaintext, compressionLevel: level }])).rejects.toThrow(
            RangeError,
          );
          await expect(engine.compress(plaintext, level)).rejects.toThrow(RangeError);
        }
        const sealed = new Uint8Array(50);
        for (const uncompressedLength of [-1, 0.5, 2 ** 32, Number.NaN])
          await expect(engine.unseal(KEY, [{ sealed, uncompressedLength, id: undefined }])).rejects.toThrow(
            RangeError,
          );
      });

      it("refuses keys of wrong lengths", async () => {
        const short = { ...KEY, macR: KEY.macR.subarray(1) };
        await expect(engine.seal(short, [])).rejects.toThrow(RangeError);
        await expect(engine.unseal(short, [])).rejects.toThrow(RangeError);
      });
    });

    describe("sealInto", () => {
      it("puts one behind the other what unseal gives back, whatever its length", async () => {
        const inputs = [0, 1, 1000, 65_537, 1_500_001].flatMap((length) => [
          { plaintext: incompressible(length), compressionLevel: 3 },
          { plaintext: Buffer.alloc(length, "the same words again, "), compressionLevel: 1 },
          { plaintext: randomBytes(length), compressionLevel: undefined },
        ]);
        const room = inputs.reduce((sum, { plaintext }) => sum + maxSealedLength(plaintext.length), 0);
        const memory = unaligned(randomBytes(room), 3);
        const parts = await engine.sealInto(KEY, inputs, memory, { verify: true });
        let at = 0;
        for (const [i, { length, uncompressedLength }] of parts.entries()) {
          const { plaintext } = inputs[i]!;
          expect(length).toBeLessThanOrEqual(maxSealedLength(plaintext.length));
          const sealed = memory.subarray(at, at + length);
          at += length;
          const [unsealed] = await engine.unseal(KEY, [
            { sealed, uncompressedLength, id: engine.hash(plaintext) },
          ]);
          expect(plaintextOf(unsealed).equals(plaintext)).toBe(true);
        }
        expect(await engine.sealInto(KEY, [], new Uint8Array(0))).toEqual([]);
      });

      it("refuses where there is no room", async () => {
        const input = { plaintext: randomBytes(1000), compressionLevel: undefined };
        const memory = new Uint8Array(2 * (1000 + SEAL_OVERHEAD) - 1);
        await expect(engine.sealInto(KEY, [input, input], memory)).rejects.toThrow(Error);
        await expect(engine.sealInto(KEY, [input], new Uint8Array(0))).rejects.toThrow(Error);
      });
    });

    describe("hashJoined", () => {
      it("hashes pieces as if they were one", async () => {
        const data = randomBytes(3_000_001);
        const pieces = [
          data.subarray(0, 1),
          data.subarray(1, 1),
          data.subarray(1, 2_000_000),
          data.subarray(2_000_000),
        ];
        expect(hex(await engine.hashJoined(pieces))).toBe(hex(sha256Of(data)));
        expect(hex(await engine.hashJoined([]))).toBe(hex(sha256Of("")));
      });
    });

    unsealSuite(() => engine);

    describe("seal with verify", () => {
      const texts = [1, 0, 70_000, 5, 400_000].map((length) => randomBytes(length));
      const inputs = () =>
        texts.map((text, i) => ({
          plaintext: Buffer.from(text),
          compressionLevel: i % 2 ? undefined : 3,
          id: engine.hash(text),
        }));
      type Inputs = ReturnType<typeof inputs>;
      const seal = (some: Inputs) => engine.seal(KEY, some, { verify: true });
      const sealInto = (some: Inputs) =>
        engine.sealInto(KEY, some, Buffer.alloc(1_000_000), { verify: true });
      const sealToFile = async (some: Inputs) => {
        if (!engine.createSealedFile) return seal(some);
        const file = await engine.createSealedFile(await temporaryFolder(), "pack", 0o600);
        return await file.seal(KEY, some, { verify: true }).finally(() => file.discard());
      };

      it.each([
        ["seal", seal],
        ["sealInto", sealInto],
        ["a sealed file", sealToFile],
      ] as const)("%s refuses a plaintext that is no longer what its ID says", async (_, work) => {
        expect(await work(inputs())).toHaveLength(texts.length);
        for (const i of [0, 2, 4]) {
          const changed = inputs();
          changed[i]!.plaintext[0]! ^= 4;
          await expect(work(changed)).rejects.toThrow(DamagedError);
        }
        const zero = inputs();
        zero[1] = { ...zero[1]!, id: idFromBytes(Buffer.alloc(32)) };
        await expect(work(zero)).rejects.toThrow("changed meanwhile");
      });
    });

    sealedPartsSuite(() => engine);

    describe("decompress", () => {
      it.each([0, 1, 255, 256, 65_791, 65_792, 3_000_000])(
        "gives back %i bytes within its bound",
        async (length) => {
          const data = Buffer.alloc(length, "some words, ");
          const frame = await engine.compress(data, 3);
          expect(Buffer.from(await engine.decompress(frame, length)).equals(data)).toBe(true);
          expect(Buffer.from(await engine.decompress(frame, length + 1)).equals(data)).toBe(true);
          if (length > 0) await expect(engine.decompress(frame, length - 1)).rejects.toThrow(DamagedError);
        },
      );

      it("takes several frames, and skippable ones", async () => {
        const skippable = bytes("5d2a4d1803000000ffffff");
        const frames = [
          await engine.compress(Buffer.from("one "), 3),
          skippable,
          unframed(Buffer.from("two ")),
        ];
        const data = Buffer.concat([...frames, await engine.compress(Buffer.from("three"), 19)]);
        expect(Buffer.from(await engine.decompress(data, 100)).toString()).toBe("one two three");
        expect(Buffer.from(await engine.decompress(data, 13)).toString()).toBe("one two three");
        await expect(engine.decompress(data, 12)).rejects.toThrow(DamagedError);
      });

      it("holds its bound for frames that do not say how long they are", async () => {
        const data = incompressible(1_300_000);
        expect(Buffer.from(await engine.decompress(unframed(data), data.length)).equals(data)).toBe(true);
        expect(Buffer.from(await engine.decompress(unframed(data), 2 ** 33)).equals(data)).toBe(true);
        await expect(engine.decompress(unframed(data), data.length - 1)).rejects.toThrow(DamagedError);
        expect((await engine.decompress(unframed(new Uint8Array(0)), 0)).length).toBe(0);
      });

      it("refuses nothing, rubbish, and whatever is cut off or goes on", async () => {
        const frame = Buffer.from(await engine.compress(Buffer.alloc(1000, "xyz"), 3));
        const bad = [Buffer.alloc(0), Buffer.from("rubbish"), Buffer.concat([frame, Buffer.from([0])])];
        for (let length = 1; length < frame.length; length++) bad.push(frame.subarray(0, length));
        for (const data of bad) await expect(engine.decompress(data, 2000)).rejects.toThrow(DamagedError);
      });

      it("does not believe a frame that claims more than its blocks can give", async () => {
        // Single segment with 8 bytes of content size: 1 TiB. One raw block of one byte follows.
        const frame = bytes("28b52ffde0000000000001000009000061");
        await expect(engine.decompress(frame, 2 ** 20)).rejects.toThrow(DamagedError);
        await expect(engine.decompress(bytes("28b52ffda00000000109000061"), 2 ** 24)).rejects.toThrow(
          DamagedError,
        );
      });

      it("writes frames as restic does: with content size, without checksum", async () => {
        const frame = Buffer.from(await engine.compress(Buffer.alloc(100_000, "x"), 3));
        expect(frame.readUInt32LE(0)).toBe(0xfd2fb528);
        expect((frame[4]! & 0x04) >> 2).toBe(0);
        expect(frame[4]! >> 6).toBe(2);
      });
    });

    chunkerSuite(() => engine);

    describe("scrypt", () => {
      it.each(SCRYPT_VECTORS)("derives as RFC 7914 does from '$password'", async (vector) => {
        const { password, salt, parameters, derived } = vector;
        const key = await engine.scrypt(Buffer.from(password), Buffer.from(salt), parameters, 64);
        expect(hex(key)).toBe(derived);
      });

      it("refuses parameters that are none, or too dear", async () => {
        const none = new Uint8Array(0);
        for (const [N, r, p] of [
          [0, 8, 1],
          [1, 8, 1],
          [15, 8, 1],
          [16, 0, 1],
          [16, 8, 0],
          [16.5, 8, 1],
          [2 ** 28, 8, 1],
          [16, 2 ** 20, 2 ** 10],
        ] as const)
          await expect(engine.scrypt(none, none, { N, r, p }, 64)).rejects.toThrow(FormatError);
      });
    });

    describe("randomBytes", () => {
      it("gives as many as asked, never the same", () => {
        for (const length of [0, 1, 64, 65_536, 200_000])
          expect(engine.randomBytes(length).length).toBe(length);
        expect(hex(engine.randomBytes(32))).not.toBe(hex(engine.randomBytes(32)));
        const tail = engine.randomBytes(200_000).subarray(-64);
        expect(tail.some((byte) => byte !== 0)).toBe(true);
      });
    });
  });
}
