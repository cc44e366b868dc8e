import { equalIds, type Id } from "../bytes/id.js";
import { type Engine, type MasterKey, SEAL_OVERHEAD, type Sealed } from "../engine/engine.js";
import { DamagedError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import {
  decodePackHeader,
  encodePackHeader,
  HEADER_LENGTH_LENGTH,
  MAX_HEADER_ENTRIES,
  type PackedBlob,
} from "../format/pack-header.js";
import { unsealFile } from "./repository-files.js";

/** A pack that is whole: its bytes and what they are named by. */
export interface FinishedPack {
  readonly id: Id;
  readonly bytes: Uint8Array;
  readonly blobs: readonly PackedBlob[];
}

/**
 * A pack being filled: sealed blobs in the order in which they came. They are held in memory until it is
 * saved.
 */
export class Packer {
  readonly #pieces: Uint8Array[] = [];
  readonly #blobs: PackedBlob[] = [];
  #size = 0;

  /** Bytes of the blobs, without the header. */
  get size(): number {
    return this.#size;
  }

  get blobs(): readonly PackedBlob[] {
    return this.#blobs;
  }

  add(type: BlobType, id: Id, { sealed, uncompressedLength }: Sealed): void {
    this.#blobs.push({ type, id, offset: this.#size, length: sealed.length, uncompressedLength });
    this.#pieces.push(sealed);
    this.#size += sealed.length;
  }

  isFull(targetBytes: number): boolean {
    return this.#size >= targetBytes || this.#blobs.length >= MAX_HEADER_ENTRIES;
  }

  canTake(other: Packer, targetBytes: number): boolean {
    return (
      this.#size + other.#size <= targetBytes &&
      this.#blobs.length + other.#blobs.length <= MAX_HEADER_ENTRIES
    );
  }

  /** Puts the blobs of another pack behind those of this one. */
  merge(other: Packer): void {
    for (const [i, { type, id, uncompressedLength }] of other.#blobs.entries())
      this.add(type, id, { sealed: other.#pieces[i]!, uncompressedLength });
  }

  /**
   * Adds the header and gives the whole pack its name. The sealed header is unsealed and decoded again first,
   * because a pack with a broken header is lost as soon as its index is.
   */
  async finish(engine: Engine, masterKey: MasterKey, version: 1 | 2): Promise<FinishedPack> {
    const plainHeader = encodePackHeader(this.#blobs);
    const [result] = await engine.seal(masterKey, [{ plaintext: plainHeader, compressionLevel: undefined }]);
    const header = result!.sealed;
    const size = this.#size + header.length + HEADER_LENGTH_LENGTH;
    await checkHeader(engine, masterKey, header, size, this.#blobs, version);

    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (const piece of [...this.#pieces.splice(0), header]) {
      bytes.set(piece, at);
      at += piece.length;
    }
    bytes.writeUInt32LE(header.length, at);
    const ids = await engine.hashAll([bytes]);
    return { id: ids.at(0), bytes, blobs: this.#blobs };
  }
}

async function checkHeader(
  engine: Engine,
  masterKey: MasterKey,
  sealed: Uint8Array,
  packSize: number,
  blobs: readonly PackedBlob[],
  version: 1 | 2,
): Promise<void> {
  const plaintext = await unsealFile(engine, masterKey, { type: "pack", name: "" }, sealed);
  const decoded = decodePackHeader(plaintext, packSize, sealed.length, { version });
  const same =
    sealed.length === plaintext.length + SEAL_OVERHEAD &&
    decoded.length === blobs.length &&
    decoded.every((blob, i) => equalBlobs(blob, blobs[i]!));
  if (!same)
    throw new DamagedError("Cannot save pack: its header does not come back as it was written", {
      hint: "The memory or the processor of this machine may be broken",
    });
}

function equalBlobs(a: PackedBlob, b: PackedBlob): boolean {
  return (
    a.type === b.type &&
    a.offset === b.offset &&
    a.length === b.length &&
    a.uncompressedLength === b.uncompressedLength &&
    equalIds(a.id, b.id)
  );
}
