/** The native engine against the portable one, on random inputs: neither is trusted alone. */

import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { ctr, ecb } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, type Engine, type MasterKey } from "../../src/engine/engine.js";
import { NativeEngine } from "../../src/engine/native/native-engine.js";
import { PortableEngine } from "../../src/engine/portable/portable-engine.js";
import { addonProblem, loadAddon } from "../../src/native/addon.js";
import { OTHER_POLYNOMIAL, RESTIC_POLYNOMIAL } from "../vectors/chunker.js";
import { incompressible } from "../vectors/zstd-frames.js";

const addon = loadAddon();

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.uint8Array({ maxLength: 3000 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 40_000 }))
    .map(([word, length]) => {
      const data = new Uint8Array(length);
      for (let i = 0; i < length; i++) data[i] = word[i % word.length]!;
      return data;
    }),
);
const keys: fc.Arbitrary<MasterKey> = fc.record({ encrypt: bytes(32), macK: bytes(16), macR: bytes(16) });
const levels = fc.constantFrom(undefined, -5, 1, 3, 7, 12);

describe.skipIf(!addon)(`native and portable engine ${addonProblem() ?? ""}`, () => {
  let native: Engine;
  let portable: Engine;
  beforeAll(async () => {
    native = new NativeEngine(addon!);
    portable = await PortableEngine.create();
  });

  it("unseal what the other has sealed", async () => {
    await fc.assert(
      fc.asyncProperty(keys, fc.array(fc.tuple(someBytes, levels), { maxLength: 5 }), async (key, list) => {
        const inputs = list.map(([plaintext, compressionLevel]) => ({ plaintext, compressionLevel }));
        for (const [from, to] of [
          [native, portable],
          [portable, native],
        ] as const) {
          const sealed = await from.seal(key, inputs, { verify: true });
          const unsealed = await to.unseal(
            key,
            sealed.map((made, i) => ({ ...made, id: to.hash(inputs[i]!.plaintext) })),
          );
          expect(
            unsealed.map((result) => ("plaintext" in result ? Array.from(result.plaintext) : result)),
          ).toEqual(inputs.map((input) => Array.from(input.plaintext)));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("seal as the definition says, computed with @noble alone", async () => {
    await fc.assert(
      fc.asyncProperty(keys, someBytes, async (key, plaintext) => {
        for (const engine of [native, portable]) {
          const [made] = await engine.seal(key, [{ plaintext, compressionLevel: undefined }]);
          const iv = Uint8Array.from(made!.sealed.subarray(0, 16));
          const ciphertext = ctr(key.encrypt, Uint8Array.from(iv)).encrypt(plaintext);
          const s = ecb(key.macK, { disablePadding: true }).encrypt(iv);
          const mac = poly1305(ciphertext, Uint8Array.from([...key.macR, ...s]));
          expect(Buffer.from(made!.sealed).equals(Buffer.concat([iv, ciphertext, mac]))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("hash the same", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someBytes, { maxLength: 10 }), async (inputs) => {
        const wanted = inputs.map((input) => Array.from(sha256(input)));
        for (const engine of [native, portable])
          expect([...(await engine.hashAll(inputs))].map((id) => Array.from(id))).toEqual(wanted);
      }),
    );
  });

  it("decompress what the other has compressed, and refuse the same rubbish", async () => {
    await fc.assert(
      fc.asyncProperty(someBytes, levels, fc.nat(), fc.nat(255), async (data, level, at, change) => {
        for (const [from, to] of [
          [native, portable],
          [portable, native],
        ] as const) {
          const frame = await from.compress(data, level ?? 3);
          expect(Buffer.from(await to.decompress(frame, data.length)).equals(data)).toBe(true);
          const changed = Uint8Array.from(frame);
          changed[at % changed.length]! ^= change;
          const outcome = (engine: Engine) =>
            engine.decompress(changed, 2 * data.length).then(
              (plaintext) => Buffer.from(plaintext).toString("hex"),
              (error: Error) => error.constructor.name,
            );
          expect(await outcome(native)).toBe(await outcome(portable));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("cut the same at lengths around the bounds", async () => {
    const noise = incompressible(CHUNK_MAX_BYTES + 200);
    const ones = new Uint8Array(CHUNK_MAX_BYTES + 200).fill(0xff);
    const around = (bound: number) => [-1, 0, 1, 64, 65].map((by) => bound + by);
    for (const data of [noise, ones]) {
      for (const length of [0, ...around(1), ...around(CHUNK_MIN_BYTES)].filter((length) => length >= 0)) {
        for (const final of [true, false])
          await expectSameCuts(RESTIC_POLYNOMIAL, data.subarray(0, length), final);
      }
    }
    for (const length of around(CHUNK_MAX_BYTES))
      await expectSameCuts(RESTIC_POLYNOMIAL, ones.subarray(0, length), true);
  }, 120_000);

  it("cut the same wherever the data lies and resume the same", async () => {
    const noise = incompressible(6_000_000);
    for (let round = 0; round < 20; round++) {
      const start = (round * 99_991) % 1_000_000;
      const data = noise.subarray(start, start + CHUNK_MIN_BYTES + ((round * 777_767) % 4_000_000));
      const polynomial = round % 2 ? OTHER_POLYNOMIAL : RESTIC_POLYNOMIAL;
      await expectSameCuts(polynomial, data, true);
      // What was seen without a cut never changes the answer.
      const [first] = (await native.createChunker(polynomial).cut(data, { final: true })).lengths;
      await expectSameCuts(polynomial, data, true, Math.min((first ?? 0) - 1, round * 100_000));
    }
  }, 120_000);

  async function expectSameCuts(
    polynomial: bigint,
    data: Uint8Array,
    final: boolean,
    scanned = 0,
  ): Promise<void> {
    const [a, b] = await Promise.all(
      [native, portable].map((engine) => engine.createChunker(polynomial).cut(data, { final, scanned })),
    );
    expect(Array.from(a!.lengths)).toEqual(Array.from(b!.lengths));
    expect(a!.consumed).toBe(b!.consumed);
    expect(Buffer.from(a!.ids.bytes).equals(b!.ids.bytes)).toBe(true);
    if (scanned > 0) {
      const whole = await native.createChunker(polynomial).cut(data, { final });
      expect(Array.from(a!.lengths)).toEqual(Array.from(whole.lengths));
    }
  }
});
