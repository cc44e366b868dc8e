import type { Backend } from "../backend/backend.js";
import { formatId, type Id } from "../bytes/id.js";
import { largeMemory } from "../bytes/large-memory.js";
import { CHUNK_MAX_BYTES, maxSealedLength } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { PackedBlob } from "../format/pack-header.js";
import { BlockPool, MemoryBlocks } from "./memory-blocks.js";
import {
  type NewBlob,
  type OpenPack,
  type PackParts,
  plainBytesOf,
  type SavedPack,
  sealPackHeader,
} from "./open-pack.js";
import { Sealing } from "./sealing.js";

/**
 * What is sealed in one hop lies here until it is copied into its pack. Room for the longest chunk; a tree may be
 * longer. Memory that is not written to costs nothing.
 */
const SEALED_ROOM_BYTES = maxSealedLength(CHUNK_MAX_BYTES);

/** Memory that packs use one after the other. */
export class PackMemory {
  readonly blocks = new BlockPool();
  #rooms: Buffer[] = [];

  takeRoom(bytes: number): Buffer {
    const isUsual = bytes <= SEALED_ROOM_BYTES;
    return (isUsual ? this.#rooms.pop() : undefined) ?? largeMemory(Math.max(bytes, SEALED_ROOM_BYTES));
  }

  giveRoom(room: Buffer): void {
    if (room.length === SEALED_ROOM_BYTES) this.#rooms.push(room);
  }

  /** Leaves what is free to the garbage collector. */
  clear(): void {
    this.blocks.clear();
    this.#rooms = [];
  }
}

/** A pack that is held in memory until it is saved, for backends that take a file as a whole. */
export class MemoryPack implements OpenPack {
  readonly holdsMemory = true;
  readonly isSpoilt = false;
  readonly #parts: PackParts;
  readonly #backend: Backend;
  readonly #memory: PackMemory;
  readonly #bytes: MemoryBlocks;
  readonly #blobs: PackedBlob[] = [];
  readonly #sealing = new Sealing();

  constructor(parts: PackParts, backend: Backend, memory: PackMemory) {
    this.#parts = parts;
    this.#backend = backend;
    this.#memory = memory;
    this.#bytes = new MemoryBlocks(memory.blocks);
  }

  get blobs(): readonly PackedBlob[] {
    return this.#blobs;
  }

  get length(): number {
    return this.#bytes.length + this.#sealing.expectedBytes;
  }

  get count(): number {
    return this.#blobs.length;
  }

  seal(blobs: readonly NewBlob[]): Promise<number[]> {
    return this.#sealing.seal(plainBytesOf(blobs), this.#seal(blobs));
  }

  async #seal(blobs: readonly NewBlob[]): Promise<number[]> {
    const { engine, masterKey, extraVerify } = this.#parts;
    const needed = blobs.reduce((sum, { plaintext }) => sum + maxSealedLength(plaintext.length), 0);
    const room = this.#memory.takeRoom(needed);
    try {
      const parts = await engine.sealInto(masterKey, blobs, room, { verify: extraVerify });
      let at = 0;
      return parts.map(({ length, uncompressedLength }, i) => {
        const { type, id } = blobs[i]!;
        this.#put(type, id, room.subarray(at, at + length), uncompressedLength);
        at += length;
        return length;
      });
    } finally {
      this.#memory.giveRoom(room);
    }
  }

  async add(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<void> {
    this.#put(type, id, sealed, uncompressedLength);
  }

  #put(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): void {
    this.#blobs.push({ type, id, offset: this.#bytes.length, length: sealed.length, uncompressedLength });
    this.#bytes.append(sealed);
  }

  settled(): Promise<void> {
    return this.#sealing.settled();
  }

  async merge(other: this): Promise<void> {
    const start = this.#bytes.length;
    for (const blob of other.#blobs.splice(0)) this.#blobs.push({ ...blob, offset: start + blob.offset });
    for (const piece of other.#bytes.pieces) this.#bytes.append(piece);
    other.release();
  }

  async save(): Promise<SavedPack> {
    for (const piece of await sealPackHeader(this.#parts, this.#blobs, this.#bytes.length))
      this.#bytes.append(piece);
    const { pieces } = this.#bytes;
    const id = await this.#parts.engine.hashJoined(pieces);
    const holdsTrees = this.#blobs.some(({ type }) => type === "tree");
    await this.#backend.save({ type: "pack", name: formatId(id), holdsTrees }, pieces);
    return { id, blobs: this.#blobs };
  }

  release(): void {
    this.#bytes.release();
  }
}
