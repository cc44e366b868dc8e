/**
 * The engine that runs anywhere: TypeScript and WebAssembly, nothing of Node.js, so that it also opens a repository in
 * a browser. It is what the addon falls back to, and the oracle that the native engine is tested against. One thread:
 * 60 MB/s sealed where the native engine does 600.
 */

import { scryptAsync } from "@noble/hashes/scrypt.js";
import type { Id, IdList } from "../../bytes/id.js";
import {
  checkLevel,
  checkMasterKey,
  checkMaxBytes,
  checkUncompressedLength,
  decompressError,
  scryptMemory,
  verifyError,
} from "../checks.js";
import {
  type Chunker,
  type Engine,
  type MasterKey,
  type PackVerifier,
  type ScryptParameters,
  SEAL_OVERHEAD,
  type Sealed,
  type SealedPart,
  type SealInput,
  type Unsealed,
  type UnsealFailure,
  type UnsealInput,
  type UnsealPart,
} from "../engine.js";
import { Breather } from "./breather.js";
import {
  aesCtr,
  createHash,
  equalInConstantTime,
  hash,
  hashAll,
  hashNow,
  IV_LENGTH,
  MAC_LENGTH,
  poly1305Aes,
  randomBytes,
} from "./primitives.js";
import { RabinChunker } from "./rabin-chunker.js";
import { loadZstd, type Zstd } from "./zstd.js";

export class PortableEngine implements Engine {
  readonly name = "portable";
  readonly #zstd: Zstd;

  private constructor(zstd: Zstd) {
    this.#zstd = zstd;
  }

  /** Compiles the WebAssembly first. */
  static async create(): Promise<PortableEngine> {
    return new PortableEngine(await loadZstd());
  }

  hash(data: Uint8Array): Id {
    return hashNow(data);
  }

  async hashAll(data: readonly Uint8Array[]): Promise<IdList> {
    return await hashAll(data, new Breather());
  }

  async hashJoined(pieces: readonly Uint8Array[]): Promise<Id> {
    const hash = createHash();
    const breather = new Breather();
    for (const piece of pieces) {
      hash.update(piece);
      await breather.breathe();
    }
    return hash.digest();
  }

  createHash(): { update(data: Uint8Array): void; digest(): Id } {
    return createHash();
  }

  async seal(
    key: MasterKey,
    inputs: readonly SealInput[],
    options: { verify?: boolean } = {},
  ): Promise<Sealed[]> {
    checkMasterKey(key);
    for (const { compressionLevel } of inputs) checkLevel(compressionLevel);
    const breather = new Breather();
    const results: Sealed[] = [];
    for (const input of inputs) {
      const made = await this.#sealOne(key, input, breather);
      if (options.verify && !(await this.#opensAs(key, made, input, breather)))
        throw verifyError(input.plaintext.length);
      results.push(made);
    }
    return results;
  }

  async sealInto(
    key: MasterKey,
    inputs: readonly SealInput[],
    room: Uint8Array,
    options: { verify?: boolean } = {},
  ): Promise<SealedPart[]> {
    let at = 0;
    return (await this.seal(key, inputs, options)).map(({ sealed, uncompressedLength }) => {
      room.set(sealed, at);
      at += sealed.length;
      return { length: sealed.length, uncompressedLength };
    });
  }

  async unseal(key: MasterKey, inputs: readonly UnsealInput[]): Promise<Unsealed[]> {
    checkMasterKey(key);
    for (const { uncompressedLength } of inputs) checkUncompressedLength(uncompressedLength);
    const breather = new Breather();
    const results: Unsealed[] = [];
    for (const input of inputs) {
      const result = await this.#unsealOne(key, input, breather);
      results.push(typeof result === "string" ? { failure: result } : { plaintext: result });
    }
    return results;
  }

  unsealParts(key: MasterKey, sealed: Uint8Array, parts: readonly UnsealPart[]): Promise<Unsealed[]> {
    const inputs = parts.map(({ offset, length, uncompressedLength, id }): UnsealInput => {
      return { sealed: sealed.subarray(offset, offset + length), uncompressedLength, id };
    });
    return this.unseal(key, inputs);
  }

  createPackVerifier(key: MasterKey): PackVerifier {
    const hash = createHash();
    const breather = new Breather();
    return {
      /** One by one, so that only one plaintext is there at a time. */
      verify: async (piece, parts) => {
        hash.update(piece);
        const failures: (UnsealFailure | undefined)[] = [];
        for (const part of parts) {
          await breather.breathe();
          const [result] = await this.unsealParts(key, piece, [part]);
          failures.push("failure" in result! ? result.failure : undefined);
        }
        return failures;
      },
      finish: () => hash.digest(),
    };
  }

  async compress(data: Uint8Array, level: number): Promise<Uint8Array> {
    checkLevel(level);
    return this.#zstd.compress(data, level);
  }

  async decompress(data: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    checkMaxBytes(maxBytes);
    const result = this.#zstd.decompress(data, maxBytes);
    if (typeof result === "string") throw decompressError(result, maxBytes);
    return result;
  }

  createChunker(polynomial: bigint): Chunker {
    return new RabinChunker(polynomial);
  }

  async scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    parameters: ScryptParameters,
    length: number,
  ): Promise<Uint8Array> {
    const maxmem = scryptMemory(parameters) + 2 ** 20;
    return await scryptAsync(password, salt, { ...parameters, dkLen: length, maxmem });
  }

  randomBytes(length: number): Uint8Array {
    return randomBytes(length);
  }

  async #sealOne(key: MasterKey, input: SealInput, breather: Breather): Promise<Sealed> {
    const { plaintext, compressionLevel } = input;
    const compressed = compressionLevel !== undefined && plaintext.length > 0;
    const content = compressed ? this.#zstd.compress(plaintext, compressionLevel) : plaintext;

    let iv = randomBytes(IV_LENGTH);
    while (isZero(iv)) iv = randomBytes(IV_LENGTH);
    const ciphertext = await aesCtr(key.encrypt, iv, content, breather);
    const mac = await poly1305Aes(key, iv, ciphertext, breather);

    const sealed = new Uint8Array(SEAL_OVERHEAD + ciphertext.length);
    sealed.set(iv);
    sealed.set(ciphertext, IV_LENGTH);
    sealed.set(mac, IV_LENGTH + ciphertext.length);
    return { sealed, uncompressedLength: compressed ? plaintext.length : 0 };
  }

  async #unsealOne(
    key: MasterKey,
    input: UnsealInput,
    breather: Breather,
  ): Promise<Uint8Array | UnsealFailure> {
    const { sealed, uncompressedLength, id } = input;
    if (sealed.length < SEAL_OVERHEAD) return "too-short";
    const iv = sealed.subarray(0, IV_LENGTH);
    const ciphertext = sealed.subarray(IV_LENGTH, sealed.length - MAC_LENGTH);
    const mac = sealed.subarray(sealed.length - MAC_LENGTH);

    // Nothing ever was sealed with it: restic refuses an all-zero IV too.
    if (isZero(iv)) return "mac";
    if (!equalInConstantTime(await poly1305Aes(key, iv, ciphertext, breather), mac)) return "mac";

    let plaintext = await aesCtr(key.encrypt, iv, ciphertext, breather);
    if (uncompressedLength > 0) {
      const result = this.#zstd.decompress(plaintext, uncompressedLength);
      if (typeof result === "string") return result;
      if (result.length !== uncompressedLength) return "length";
      plaintext = result;
    }
    if (id !== undefined && !equalInConstantTime(await hash(plaintext, breather), id)) return "hash";
    return plaintext;
  }

  async #opensAs(key: MasterKey, made: Sealed, input: SealInput, breather: Breather): Promise<boolean> {
    const again = await this.#unsealOne(key, { ...made, id: input.id }, breather);
    return typeof again !== "string" && equalInConstantTime(again, input.plaintext);
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
