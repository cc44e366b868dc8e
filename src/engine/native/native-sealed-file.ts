import { type Id, idFromBytes } from "../../bytes/id.js";
import { bytesOfText } from "../../bytes/utf8.js";
import type { MasterKeyHandle } from "../../native/engine-functions.js";
import type { PackFileFunctions, PackFileHandle } from "../../native/pack-file-functions.js";
import { verifyError } from "../checks.js";
import type { MasterKey, PlacedPart, SealedFile, SealInput } from "../engine.js";
import { checkedInputs } from "./seal-inputs.js";

const MAX_UINT32 = 0xffff_ffff;

/** A file of native/src/pack_file.cc. */
export class NativeSealedFile implements SealedFile {
  readonly #addon: PackFileFunctions;
  readonly #file: PackFileHandle;
  readonly #handleOf: (key: MasterKey) => MasterKeyHandle;

  constructor(addon: PackFileFunctions, file: PackFileHandle, handleOf: (key: MasterKey) => MasterKeyHandle) {
    this.#addon = addon;
    this.#file = file;
    this.#handleOf = handleOf;
  }

  async seal(
    key: MasterKey,
    inputs: readonly SealInput[],
    options: { verify?: boolean } = {},
  ): Promise<PlacedPart[]> {
    const places = await this.#seal(this.#handleOf(key), inputs, options.verify ?? false);
    return inputs.map(({ plaintext, compressionLevel }, i) => {
      const length = places[2 * i + 1]!;
      if (length === 0) throw verifyError(plaintext.length);
      const uncompressedLength = compressionLevel === undefined ? 0 : plaintext.length;
      return { offset: places[2 * i]!, length, uncompressedLength };
    });
  }

  #seal(key: MasterKeyHandle, inputs: readonly SealInput[], verify: boolean): Promise<Uint32Array> {
    const { plaintexts, levels, ids } = checkedInputs(inputs);
    const memory = plaintexts[0]?.buffer;
    const isOneMemory = memory !== undefined && plaintexts.every(({ buffer }) => buffer === memory);
    if (!isOneMemory || memory.byteLength > MAX_UINT32)
      return this.#addon.packFileSeal(this.#file, key, plaintexts, levels, verify, ids);
    const places = new Uint32Array(2 * plaintexts.length);
    for (const [i, { byteOffset, length }] of plaintexts.entries()) {
      places[2 * i] = byteOffset;
      places[2 * i + 1] = length;
    }
    const whole = new Uint8Array(memory);
    return this.#addon.packFileSealParts(this.#file, key, whole, places, levels, verify, ids);
  }

  append(pieces: readonly Uint8Array[]): Promise<number> {
    return this.#addon.packFileAppend(this.#file, pieces);
  }

  async finish(mode: number, keepsCached: boolean): Promise<Id> {
    return idFromBytes(await this.#addon.packFileFinish(this.#file, mode, keepsCached));
  }

  load(): Promise<Uint8Array> {
    return this.#addon.packFileLoad(this.#file);
  }

  commit(path: string): Promise<void> {
    return this.#addon.packFileCommit(this.#file, bytesOfText(path));
  }

  discard(): Promise<void> {
    return this.#addon.packFileDiscard(this.#file);
  }
}
