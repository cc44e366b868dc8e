import { equalIds, type Id } from "../bytes/id.js";
import { type Engine, type MasterKey, SEAL_OVERHEAD } from "../engine/engine.js";
import { DamagedError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import {
  decodePackHeader,
  encodePackHeader,
  HEADER_LENGTH_LENGTH,
  MAX_HEADER_ENTRIES,
  type PackedBlob,
} from "../format/pack-header.js";
import { type BlockPool, MemoryBlocks } from "./memory-blocks.js";
import { unsealFile } from "./repository-files.js";

/** A pack that is whole: its bytes and what they are named by. */
export interface FinishedPack {
  readonly id: Id;
  /** One behind the other; valid until the packer is released. */
  readonly pieces: readonly Uint8Array[];
  readonly blobs: readonly PackedBlob[];
}

/**
 * A pack being filled: sealed blobs in the order in which they came. They are held in memory until it is
 * saved.
 */
export class Packer {
  readonly #bytes: MemoryBlocks;
  readonly #blobs: PackedBlob[] = [];

  constructor(memory: BlockPool) {
    this.#bytes = new MemoryBlocks(memory);
  }

  get blobs(): readonly PackedBlob[] {
    return this.#blobs;
  }

  /** Copies the sealed blob. */
  add(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): void {
    this.#blobs.push({ type, id, offset: this.#bytes.length, length: sealed.length, uncompressedLength });
    this.#bytes.append(sealed);
  }

  isFull(targetBytes: number): boolean {
    return this.#bytes.length >= targetBytes || this.#blobs.length >= MAX_HEADER_ENTRIES;
  }

  canTake(other: Packer, targetBytes: number): boolean {
    return (
      this.#bytes.length + other.#bytes.length <= targetBytes &&
      this.#blobs.length + other.#blobs.length <= MAX_HEADER_ENTRIES
    );
  }

  /** Puts the blobs of another pack behind those of this one, and empties it. */
  merge(other: Packer): void {
    const start = this.#bytes.length;
    for (const blob of other.#blobs.splice(0)) this.#blobs.push({ ...blob, offset: start + blob.offset });
    for (const piece of other.#bytes.pieces) this.#bytes.append(piece);
    other.release();
  }

  /**
   * Adds the header and gives the whole pack its name. The sealed header is unsealed and decoded again first,
   * because a pack with a broken header is lost as soon as its index is.
   */
  async finish(engine: Engine, masterKey: MasterKey, version: 1 | 2): Promise<FinishedPack> {
    const plainHeader = encodePackHeader(this.#blobs);
    const [result] = await engine.seal(masterKey, [{ plaintext: plainHeader, compressionLevel: undefined }]);
    const header = result!.sealed;
    const size = this.#bytes.length + header.length + HEADER_LENGTH_LENGTH;
    await checkHeader(engine, masterKey, header, size, this.#blobs, version);

    this.#bytes.append(header);
    const length = Buffer.alloc(HEADER_LENGTH_LENGTH);
    length.writeUInt32LE(header.length);
    this.#bytes.append(length);
    const { pieces } = this.#bytes;
    return { id: await engine.hashJoined(pieces), pieces, blobs: this.#blobs };
  }

  /** Gives the memory back. What the pack held stays in `blobs`. */
  release(): void {
    this.#bytes.release();
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
