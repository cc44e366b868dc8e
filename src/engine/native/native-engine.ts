/**
 * The engine on top of the addon: OpenSSL, zstd and a four-lane Rabin chunker in C++, on the addon's own threads.
 * Each call is one hop there and back (65 to 70 us when nothing else is under way), so callers hand small things in
 * together: 16 blobs of 16 KiB a hop are sealed twice as fast as one a hop. Hashing, unsealing and decompressing a few
 * kilobytes is done at once, without a hop.
 */

import { constants } from "node:buffer";
import { createHash, pbkdf2Sync, randomFillSync } from "node:crypto";
import { availableParallelism } from "node:os";
import { ID_LENGTH, type Id, IdList, idFromBytes } from "../../bytes/id.js";
import { bytesOfText } from "../../bytes/utf8.js";
import type { Addon } from "../../native/addon.js";
import type { ChunkerHandle, MasterKeyHandle } from "../../native/engine-functions.js";
import {
  CHUNK_AVERAGE_BITS,
  checkLevel,
  checkMasterKey,
  checkMaxBytes,
  checkPolynomial,
  checkScanned,
  checkUncompressedLength,
  decompressError,
  scryptMemory,
  verifyError,
} from "../checks.js";
import {
  CHUNK_MAX_BYTES,
  CHUNK_MIN_BYTES,
  type Chunker,
  type Cuts,
  type Engine,
  type IndexColumns,
  type MasterKey,
  type PackVerifier,
  type ScryptParameters,
  SEAL_OVERHEAD,
  type Sealed,
  type SealedFile,
  type SealedPart,
  type SealInput,
  type TreeReferences,
  type Unsealed,
  type UnsealedToFiles,
  type UnsealFailure,
  type UnsealInput,
  type UnsealPart,
} from "../engine.js";
import { UNSEAL_FAILURES } from "../unseal-failures.js";
import { NativeSealedFile } from "./native-sealed-file.js";
import { checkedInputs } from "./seal-inputs.js";

/** Memory that several blocks of scrypt may take together: eight of restic's keys. A larger one is mixed alone. */
const SCRYPT_BYTES = 64 * 1024 * 1024;
/** Blocks that are worth mixing side by side on one core. */
const SCRYPT_LANES = 4;
/**
 * A fourth of the memory for a fifth more time: restic's keys (N 32768, r 8, p 6) take 92 ms on two cores and 48 MiB, with
 * the four blocks side by side that they have room for then. 8 would be 131 ms and 24 MiB.
 */
const SCRYPT_STRIDE = 4;

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

export class NativeEngine implements Engine {
  readonly name = "native";
  readonly #addon: Addon;
  /** The addon's copy of each key, made at its first use. */
  readonly #keys = new WeakMap<MasterKey, MasterKeyHandle>();

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  hash(data: Uint8Array): Id {
    return idFromBytes(this.#addon.sha256(data));
  }

  async hashAll(data: readonly Uint8Array[]): Promise<IdList> {
    return new IdList(await this.#addon.sha256Many(data));
  }

  async hashJoined(pieces: readonly Uint8Array[]): Promise<Id> {
    return idFromBytes(await this.#addon.sha256Joined(pieces));
  }

  createHash(): { update(data: Uint8Array): void; digest(): Id } {
    const hash = createHash("sha256");
    return {
      update: (data) => void hash.update(data),
      digest: () => idFromBytes(hash.digest()),
    };
  }

  async seal(
    key: MasterKey,
    inputs: readonly SealInput[],
    options: { verify?: boolean } = {},
  ): Promise<Sealed[]> {
    const { plaintexts, levels, ids } = checkedInputs(inputs);
    const results = await this.#addon.sealMany(
      this.#handleOf(key),
      plaintexts,
      levels,
      options.verify ?? false,
      ids,
    );
    return results.map((sealed, i) => {
      const { plaintext, compressionLevel } = inputs[i] as SealInput;
      if (sealed === undefined) throw verifyError(plaintext.length);
      return { sealed, uncompressedLength: compressionLevel === undefined ? 0 : plaintext.length };
    });
  }

  async sealInto(
    key: MasterKey,
    inputs: readonly SealInput[],
    room: Uint8Array,
    options: { verify?: boolean } = {},
  ): Promise<SealedPart[]> {
    const { plaintexts, levels, ids } = checkedInputs(inputs);
    const lengths = await this.#addon.sealManyInto(
      this.#handleOf(key),
      plaintexts,
      levels,
      options.verify ?? false,
      room,
      ids,
    );
    return inputs.map(({ plaintext, compressionLevel }, i) => {
      const length = lengths[i] ?? 0;
      if (length === 0) throw verifyError(plaintext.length);
      return { length, uncompressedLength: compressionLevel === undefined ? 0 : plaintext.length };
    });
  }

  async createSealedFile(folder: string, temporaryName: string, mode: number): Promise<SealedFile> {
    const file = await this.#addon.packFileOpen(bytesOfText(folder), temporaryName, mode);
    return new NativeSealedFile(this.#addon, file, (key) => this.#handleOf(key));
  }

  async unseal(key: MasterKey, inputs: readonly UnsealInput[]): Promise<Unsealed[]> {
    // Beyond 32 bits a Uint32Array would take something else without a word.
    for (const { uncompressedLength } of inputs) checkUncompressedLength(uncompressedLength);
    const results = await this.#addon.unsealMany(
      this.#handleOf(key),
      inputs.map((input) => input.sealed),
      Uint32Array.from(inputs, (input) => input.uncompressedLength),
      inputs.map((input) => input.id),
    );
    return results.map((result) =>
      typeof result === "number" ? { failure: UNSEAL_FAILURES[result] ?? "mac" } : { plaintext: result },
    );
  }

  async unsealParts(
    key: MasterKey,
    sealed: Uint8Array,
    parts: readonly UnsealPart[],
    into: Uint8Array,
  ): Promise<Unsealed[]> {
    const { places, ids, failures } = layOut(sealed, parts);
    await this.#addon.unsealParts(this.#handleOf(key), sealed, places, ids, failures, into);
    const results: Unsealed[] = [];
    let at = 0;
    for (let i = 0; i < parts.length; i++) {
      const size = places[3 * i + 2]! || Math.max(0, places[3 * i + 1]! - SEAL_OVERHEAD);
      const failure = failureAt(failures, i);
      results.push(failure === undefined ? { plaintext: into.subarray(at, at + size) } : { failure });
      at += size;
    }
    return results;
  }

  createPackVerifier(key: MasterKey): PackVerifier {
    const handle = this.#handleOf(key);
    const hash = this.#addon.createPackHash();
    return {
      verify: async (piece, parts) => {
        const { places, ids, failures } = layOut(piece, parts);
        await this.#addon.verifyPiece(handle, hash, piece, places, ids, failures);
        return Array.from(failures, (_, i) => failureAt(failures, i));
      },
      finish: () => idFromBytes(this.#addon.finishPackHash(hash)),
    };
  }

  async unsealToFiles(
    key: MasterKey,
    sealed: Uint8Array,
    parts: readonly UnsealPart[],
    root: Uint8Array,
    program: Uint8Array,
  ): Promise<UnsealedToFiles> {
    const { places, ids, failures } = layOut(sealed, parts);
    const handle = this.#handleOf(key);
    const callFailures = await this.#addon.unsealToFiles(
      handle,
      sealed,
      places,
      ids,
      failures,
      root,
      program,
    );
    return { failures: Array.from(failures, (_, i) => failureAt(failures, i)), callFailures };
  }

  async compress(data: Uint8Array, level: number): Promise<Uint8Array> {
    checkLevel(level);
    return await this.#addon.compress(data, level);
  }

  async decompress(data: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    checkMaxBytes(maxBytes);
    // What no Buffer can hold would be decompressed in vain.
    const result = await this.#addon.decompress(data, Math.min(maxBytes, constants.MAX_LENGTH));
    if (typeof result === "number") throw decompressError(UNSEAL_FAILURES[result], maxBytes);
    return result;
  }

  createChunker(polynomial: bigint): Chunker {
    checkPolynomial(polynomial);
    const handle = this.#addon.createChunker(
      polynomial,
      CHUNK_MIN_BYTES,
      CHUNK_MAX_BYTES,
      CHUNK_AVERAGE_BITS,
    );
    return new NativeChunker(this.#addon, handle);
  }

  parseTree(json: Uint8Array): TreeReferences | undefined {
    const memory = IS_LITTLE_ENDIAN ? this.#addon.treeReferences(json) : undefined;
    if (!memory) return undefined;
    const [trees = 0, blobs = 0] = new Uint32Array(memory, 0, 2);
    const contentsAt = 8 + ID_LENGTH * trees;
    return {
      subtrees: new IdList(new Uint8Array(memory, 8, ID_LENGTH * trees)),
      contents: new IdList(new Uint8Array(memory, contentsAt, ID_LENGTH * blobs)),
    };
  }

  async parseIndex(json: Uint8Array): Promise<IndexColumns | undefined> {
    const packed = IS_LITTLE_ENDIAN ? await this.#addon.parseIndex(json) : undefined;
    if (!packed) return undefined;
    const [packCount = 0, blobCount = 0] = new Uint32Array(packed.buffer, packed.byteOffset, 2);
    const packsAt = packed.byteOffset + 8;
    const idsAt = packsAt + ID_LENGTH * packCount;
    const column = (i: number) =>
      new Uint32Array(packed.buffer, idsAt + (ID_LENGTH + 4 * i) * blobCount, blobCount);
    return {
      packIds: new Uint8Array(packed.buffer, packsAt, ID_LENGTH * packCount),
      ids: new Int32Array(packed.buffer, idsAt, (ID_LENGTH / 4) * blobCount),
      offsets: column(0),
      lengths: column(1),
      uncompressed: column(2),
      packs: column(3),
    };
  }

  async scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    parameters: ScryptParameters,
    length: number,
  ): Promise<Uint8Array> {
    const { N, r, p } = parameters;
    scryptMemory(parameters);
    const pbkdf2 = (salt: Uint8Array, length: number) => pbkdf2Sync(password, salt, 1, length, "sha256");
    const blockLength = 128 * r;
    const blocks = pbkdf2(salt, blockLength * p);
    try {
      await this.#mixAll(blocks, blockLength, N);
      return pbkdf2(blocks, length);
    } finally {
      blocks.fill(0);
    }
  }

  /**
   * The blocks of scrypt do not depend on each other: one task for each core, or for as many as there is memory for, and
   * in a task up to four side by side, which take hardly longer than one.
   */
  async #mixAll(blocks: Uint8Array, blockLength: number, N: number): Promise<void> {
    const count = blocks.length / blockLength;
    const stride = Math.min(SCRYPT_STRIDE, N);
    const room = Math.max(1, Math.floor((SCRYPT_BYTES * stride) / (blockLength * N)));
    const tasks = Math.max(Math.ceil(count / SCRYPT_LANES), Math.min(availableParallelism(), count));
    const lanes = Math.min(Math.ceil(count / tasks), room);
    let next = 0;
    const work = async () => {
      while (next < count) {
        const taken = Math.min(lanes, count - next);
        const part = blocks.subarray(next * blockLength, (next + taken) * blockLength);
        next += taken;
        await this.#addon.scryptMix(part, taken, N, stride);
      }
    };
    await Promise.all(Array.from({ length: Math.min(tasks, Math.floor(room / lanes)) }, work));
  }

  randomBytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length));
  }

  #handleOf(key: MasterKey): MasterKeyHandle {
    let handle = this.#keys.get(key);
    if (handle === undefined) {
      checkMasterKey(key);
      handle = this.#addon.createMasterKey(key.encrypt, key.macK, key.macR);
      this.#keys.set(key, handle);
    }
    return handle;
  }
}

/** Parts as the addon takes them; what ends beyond the memory is cut off. */
function layOut(
  sealed: Uint8Array,
  parts: readonly UnsealPart[],
): { readonly places: Uint32Array; readonly ids: Uint8Array; readonly failures: Uint8Array } {
  const places = new Uint32Array(3 * parts.length);
  const ids = new Uint8Array(ID_LENGTH * parts.length);
  for (const [i, part] of parts.entries()) {
    checkUncompressedLength(part.uncompressedLength);
    const start = Math.min(part.offset, sealed.length);
    const end = Math.min(part.offset + part.length, sealed.length);
    places[3 * i] = start;
    places[3 * i + 1] = end - start;
    places[3 * i + 2] = part.uncompressedLength;
    ids.set(part.id, ID_LENGTH * i);
  }
  return { places, ids, failures: new Uint8Array(parts.length) };
}

function failureAt(failures: Uint8Array, i: number): UnsealFailure | undefined {
  const failure = failures[i]!;
  return failure === UNSEAL_FAILURES.length ? undefined : (UNSEAL_FAILURES[failure] ?? "mac");
}

class NativeChunker implements Chunker {
  readonly #addon: Addon;
  readonly #handle: ChunkerHandle;

  constructor(addon: Addon, handle: ChunkerHandle) {
    this.#addon = addon;
    this.#handle = handle;
  }

  async cut(data: Uint8Array, { final, scanned = 0 }: { final: boolean; scanned?: number }): Promise<Cuts> {
    checkScanned(scanned, data.length);
    const { lengths, ids } = await this.#addon.cutChunks(this.#handle, data, final, scanned);
    return { lengths, ids: new IdList(ids), consumed: lengths.reduce((sum, length) => sum + length, 0) };
  }
}
