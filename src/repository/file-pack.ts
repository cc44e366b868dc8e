import { randomBytes } from "node:crypto";
import { awaitedLater } from "../async/awaited-later.js";
import type { Backend, FilePlace } from "../backend/backend.js";
import { localFailure } from "../backend/local-failure.js";
import { formatId, type Id } from "../bytes/id.js";
import type { Engine, SealedFile } from "../engine/engine.js";
import { YoreError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { PackedBlob } from "../format/pack-header.js";
import {
  type NewBlob,
  type OpenPack,
  type PackParts,
  plainBytesOf,
  type SavedPack,
  sealPackHeader,
} from "./open-pack.js";
import { Sealing } from "./sealing.js";

/** What is sealed already is gathered up to so many bytes, because a call for each blob costs more than its copy. */
const GATHER_BYTES = 1024 * 1024;

/** Sealed blobs that are not in the file yet; their offsets count from the first one. */
interface Gathered {
  readonly bytes: Buffer;
  length: number;
  readonly blobs: PackedBlob[];
}

/**
 * A pack that grows in a file of the repository's own folder: what is sealed goes there in the same hop, is hashed on the
 * way and never comes to JavaScript. The file has no name before it is whole, and saving it is no more than a sync and a rename.
 */
export class FilePack implements OpenPack {
  readonly holdsMemory = false;
  readonly #parts: PackParts;
  readonly #backend: Backend;
  readonly #place: (name: string) => Promise<FilePlace>;
  readonly #file: Promise<SealedFile>;
  readonly #blobs: PackedBlob[] = [];
  #length = 0;
  #isSpoilt = false;
  #gathered: Gathered | undefined;
  readonly #sealing = new Sealing();

  /** @returns `undefined` where the engine or the backend cannot */
  static create(parts: PackParts, backend: Backend): FilePack | undefined {
    const { engine } = parts;
    if (!engine.createSealedFile || !backend.place) return undefined;
    const place = (name: string) => backend.place!({ type: "pack", name });
    return new FilePack(parts, backend, engine.createSealedFile.bind(engine), place);
  }

  private constructor(
    parts: PackParts,
    backend: Backend,
    create: NonNullable<Engine["createSealedFile"]>,
    place: (name: string) => Promise<FilePlace>,
  ) {
    this.#parts = parts;
    this.#backend = backend;
    this.#place = place;
    // Whoever uses it first gets the failure.
    this.#file = awaitedLater(this.#begin(create));
  }

  get blobs(): readonly PackedBlob[] {
    return this.#blobs;
  }

  get length(): number {
    return this.#length + (this.#gathered?.length ?? 0) + this.#sealing.expectedBytes;
  }

  get count(): number {
    return this.#blobs.length + (this.#gathered?.blobs.length ?? 0);
  }

  get isSpoilt(): boolean {
    return this.#isSpoilt;
  }

  seal(blobs: readonly NewBlob[]): Promise<number[]> {
    return this.#sealing.seal(plainBytesOf(blobs), this.#seal(blobs));
  }

  async #seal(blobs: readonly NewBlob[]): Promise<number[]> {
    const { masterKey, extraVerify } = this.#parts;
    const placed = await this.#do((file) => file.seal(masterKey, blobs, { verify: extraVerify }));
    return placed.map(({ offset, length, uncompressedLength }, i) => {
      const { type, id } = blobs[i]!;
      this.#blobs.push({ type, id, offset, length, uncompressedLength });
      this.#length += length;
      return length;
    });
  }

  async add(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<void> {
    const { length } = sealed;
    if (length > GATHER_BYTES) {
      const offset = await this.#append([sealed]);
      this.#blobs.push({ type, id, offset, length, uncompressedLength });
      return;
    }
    const full =
      this.#gathered && this.#gathered.length + length > GATHER_BYTES ? this.#putGathered() : undefined;
    this.#gathered ??= { bytes: Buffer.allocUnsafeSlow(GATHER_BYTES), length: 0, blobs: [] };
    this.#gathered.bytes.set(sealed, this.#gathered.length);
    this.#gathered.blobs.push({ type, id, offset: this.#gathered.length, length, uncompressedLength });
    this.#gathered.length += length;
    await full;
  }

  async #putGathered(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = undefined;
    if (!gathered) return;
    const start = await this.#append([gathered.bytes.subarray(0, gathered.length)]);
    for (const blob of gathered.blobs) this.#blobs.push({ ...blob, offset: start + blob.offset });
  }

  #append(pieces: readonly Uint8Array[]): Promise<number> {
    for (const piece of pieces) this.#length += piece.length;
    return this.#sealing.follow(this.#do((file) => file.append(pieces)));
  }

  settled(): Promise<void> {
    return this.#sealing.settled();
  }

  async merge(other: this): Promise<void> {
    await other.#putGathered();
    const start = await this.#append([await other.#do((file) => file.load())]);
    for (const blob of other.#blobs.splice(0)) this.#blobs.push({ ...blob, offset: start + blob.offset });
    other.release();
  }

  async save(): Promise<SavedPack> {
    await this.#putGathered();
    // Hops end in any order.
    const blobs = this.#blobs.sort((a, b) => a.offset - b.offset);
    if (this.#isSpoilt) throw new YoreError("backend", "Cannot save pack: an earlier write to it failed");
    await this.#append(await sealPackHeader(this.#parts, blobs, this.#length));
    const { mode } = await this.#place(randomName());
    // The next command reads all trees, and data only when it restores.
    const holdsTrees = blobs.some(({ type }) => type === "tree");
    const id = await this.#do((file) => file.finish(mode, holdsTrees));
    const name = formatId(id);
    const { path } = await this.#place(name);
    const file = await this.#file;
    try {
      await file.commit(path);
    } catch {
      // A folder on another file system, or a system without /proc: the usual way is open to every file.
      await this.#backend.save({ type: "pack", name, holdsTrees }, [await this.#do((it) => it.load())]);
    }
    return { id, blobs };
  }

  release(): void {
    this.#gathered = undefined;
    void this.#file.then((file) => file.discard()).catch(() => {});
  }

  async #begin(create: NonNullable<Engine["createSealedFile"]>): Promise<SealedFile> {
    const name = randomName();
    const { path, folder, modeWhileWritten } = await this.#place(name);
    // As the backend itself calls what is not whole.
    const temporary = `${name}-tmp-${randomBytes(8).toString("hex")}`;
    try {
      return await create(folder, temporary, modeWhileWritten);
    } catch (error) {
      throw localFailure("save", path, error);
    }
  }

  /** Gives failures of the file system their sentence. */
  async #do<T>(work: (file: SealedFile) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#file);
    } catch (error) {
      this.#isSpoilt = true;
      throw localFailure("save", this.#backend.location, error);
    }
  }
}

/** Spreads the files over the folders of packs, as their names will. */
function randomName(): string {
  return randomBytes(32).toString("hex");
}
