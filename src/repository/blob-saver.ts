import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { BatchQueue } from "../async/batch-queue.js";
import type { Backend } from "../backend/backend.js";
import { type Id, idKey } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import type { BlobType } from "../format/blob.js";
import type { IndexedPack } from "../format/index-file.js";
import { SMALL_BLOB_BYTES, SMALL_BLOBS_A_HOP } from "./blob-groups.js";
import { blobCompressionLevel, type CompressionMode } from "./compression.js";
import { FilePack } from "./file-pack.js";
import type { IndexFiles } from "./index-files.js";
import { MemoryPack, PackMemory } from "./memory-pack.js";
import { canTake, isFull, type NewBlob, type OpenPack } from "./open-pack.js";

/**
 * Two packs of a type are filled side by side, picked at random for each hop, and a chunk of a large file has one of its
 * own: sizes then tell nothing of the order of chunks.
 */
const OPEN_PACKS = 2;

/** Packs from this size on are filled one by one and uploaded one at a time: four open ones of 128 MiB are too much. */
const LARGE_PACK_BYTES = 64 * 1024 * 1024;

/** Full packs that wait for their turn in files: the disk takes now longer, now less to say that it has them. */
const MAX_WAITING_PACKS = 4;

/** An index file is saved at this many blobs or at this age, so that an interrupted backup loses little. */
const INDEX_MAX_BLOBS = 50_000;
const INDEX_MAX_AGE_MS = 10 * 60 * 1000;

/** What became of a blob that was handed in. */
export interface SavedBlob {
  readonly id: Id;
  /** True when the repository, or this run, had it already. */
  readonly known: boolean;
  /** Bytes of the plaintext. */
  readonly plainLength: number;
  /** Bytes that were added to a pack; 0 for a known one. */
  readonly packedLength: number;
}

/** A blob that is worth no hop of its own. */
export interface SmallBlob {
  /** Of the plaintext; trusted. */
  readonly id: Id;
  readonly plaintext: Uint8Array;
}

export interface BlobSaverOptions {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly version: 1 | 2;
  readonly indexFiles: IndexFiles;
  readonly compression: CompressionMode;
  /** A pack is finished as soon as it is this large. */
  readonly packSizeBytes: number;
  /** Unseal and compare what was sealed before it goes into a pack. */
  readonly extraVerify: boolean;
  /** Throws when the lock is lost under which the packs were saved. */
  readonly confirmLock: () => Promise<void>;
}

/**
 * Puts blobs into packs, packs into the backend and their entries into the index.
 *
 * Memory: next to none where packs grow in files. Where the backend takes a file as a whole: two open packs of each
 * type, those being uploaded (`connections`) and those that wait. `save` lets nobody in while a pack waits, so what
 * waits is no more than the blobs handed in at that moment. With packs of 16 MiB and two connections that is 96 MiB
 * when all are full, 64 MiB as a rule. Packs of 64 MiB and more are filled one by one, and one is uploaded at a time;
 * larger ones are not even filled meanwhile, so that 128 MiB stay 128 MiB.
 *
 * The first failure of an upload fails every later `save`; `flush` still saves the index of the packs that
 * were finished, so that they are not lost, throws the failure and starts afresh.
 */
export class BlobSaver {
  readonly #options: BlobSaverOptions;
  /** Resolves to the length of what was packed. */
  readonly #sealing: Readonly<Record<BlobType, BatchQueue<NewBlob, number>>>;
  readonly #memory = new PackMemory();
  readonly #openPacks: number;
  readonly #maxUploads: number;
  readonly #open: Record<BlobType, (OpenPack | undefined)[]> = { data: [], tree: [] };
  /** Blobs on the way into the index: under the engine, in an open pack, or in one that is not saved yet. */
  readonly #pending = new Map<string, Promise<unknown>>();
  readonly #queue: OpenPack[] = [];
  #uploading = 0;
  /** Woken whenever an upload ends. */
  #waiting: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** Packs that are saved and in memory, but in no index file yet. */
  #unindexed: { readonly pack: IndexedPack; readonly number: number }[] = [];
  #unindexedBlobs = 0;
  #unindexedSince = 0;

  constructor(options: BlobSaverOptions) {
    this.#options = options;
    const isLarge = options.packSizeBytes >= LARGE_PACK_BYTES;
    this.#openPacks = isLarge ? 1 : OPEN_PACKS;
    this.#maxUploads = isLarge ? 1 : options.backend.connections;
    const queue = (type: BlobType) =>
      new BatchQueue<NewBlob, number>({
        work: (blobs) => this.#sealAndPack(type, blobs),
        weigh: (input) => input.plaintext.length,
        aloneFrom: SMALL_BLOB_BYTES,
        maxItems: SMALL_BLOBS_A_HOP,
        maxInFlight: 2 * availableParallelism(),
      });
    this.#sealing = { data: queue("data"), tree: queue("tree") };
  }

  /**
   * Saves a blob unless it is known; resolves when it lies in a pack, which need not be uploaded yet. Waits
   * while packs pile up. The plaintext must not be changed before the promise resolves.
   *
   * @param id of the plaintext where the caller has it; trusted
   */
  async save(type: BlobType, plaintext: Uint8Array, id?: Id): Promise<SavedBlob> {
    await this.#letIn();
    const blobId = id ?? (await this.#hash(plaintext));
    const plainLength = plaintext.length;
    const known: SavedBlob = { id: blobId, known: true, plainLength, packedLength: 0 };
    if (this.#options.indexFiles.index.has(type, blobId)) return known;
    const key = pendingKey(type, blobId);
    const pending = this.#pending.get(key);
    if (pending) {
      await pending;
      return known;
    }
    return { id: blobId, known: false, plainLength, packedLength: await this.#seal(type, blobId, plaintext) };
  }

  /**
   * Saves a blob although it is known: one that is to move to another pack. The sealed bytes, verified by the caller,
   * are copied as they are, so that moving costs no compression and no encryption; they must not be changed before the
   * promise resolves.
   */
  async saveSealed(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<void> {
    this.#throwFailure();
    await this.#fill(type, (pack) => pack.add(type, id, sealed, uncompressedLength));
    await this.#letIn();
  }

  /** The same for a blob that is to be sealed anew: to be compressed at last, or because its copies differ. */
  async saveAgain(type: BlobType, id: Id, plaintext: Uint8Array): Promise<void> {
    await this.#letIn();
    await this.#seal(type, id, plaintext);
  }

  /**
   * `save` for blobs of file content that came together: those that are not known are sealed in one hop, which
   * costs a promise for all of them instead of several for each. The caller bounds how many calls are under way.
   */
  async saveSmall(blobs: readonly SmallBlob[]): Promise<SavedBlob[]> {
    await this.#letIn();
    const { version, compression, indexFiles } = this.#options;
    const fresh: NewBlob[] = [];
    const keys = new Map<string, number>();
    const others: Promise<unknown>[] = [];
    const places = blobs.map(({ id, plaintext }) => {
      if (indexFiles.index.has("data", id)) return KNOWN;
      const key = pendingKey("data", id);
      const pending = this.#pending.get(key);
      if (pending) others.push(pending);
      if (pending || keys.has(key)) return KNOWN;
      keys.set(key, fresh.length);
      const compressionLevel = blobCompressionLevel(version, compression, "data", plaintext.length);
      fresh.push({ type: "data", id, plaintext, compressionLevel });
      return fresh.length - 1;
    });
    const packed = fresh.length > 0 ? this.#sealAndPack("data", fresh) : NOTHING;
    for (const key of keys.keys()) this.#pending.set(key, packed);
    let lengths: readonly number[];
    try {
      lengths = await packed;
    } catch (error) {
      for (const key of keys.keys()) this.#pending.delete(key);
      throw error;
    }
    await Promise.all(others);
    return blobs.map(({ id, plaintext }, i) => {
      const place = places[i]!;
      const packedLength = place === KNOWN ? 0 : lengths[place]!;
      return { id, known: place === KNOWN, plainLength: plaintext.length, packedLength };
    });
  }

  /**
   * Finishes the open packs and saves their index: after it, everything that was saved can be found by
   * others.
   *
   * @throws the first failure since the last flush; the index of the packs that could be saved is saved even then
   */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#pending.values());
    for (const type of ["data", "tree"] as const) await this.#closePacks(type);
    this.#startUploads();
    while (this.#uploading > 0) await this.#uploadEnded();
    await this.#saveIndex();
    this.#memory.clear();
    const failure = this.#failure;
    this.#failure = undefined;
    if (!failure) return;
    // What was still being sealed for a pack that went with the failure is in none.
    this.#pending.clear();
    throw failure.error;
  }

  /** Waits while packs pile up. */
  async #letIn(): Promise<void> {
    while (this.#isPiledUp && !this.#failure) await this.#uploadEnded();
    this.#throwFailure();
  }

  /** Seals and packs a blob, which counts as pending meanwhile. @returns bytes in the pack */
  async #seal(type: BlobType, id: Id, plaintext: Uint8Array): Promise<number> {
    const { version, compression } = this.#options;
    const compressionLevel = blobCompressionLevel(version, compression, type, plaintext.length);
    const packed = this.#sealing[type].run({ type, id, plaintext, compressionLevel });
    const key = pendingKey(type, id);
    this.#pending.set(key, packed);
    try {
      return await packed;
    } catch (error) {
      this.#pending.delete(key);
      throw error;
    }
  }

  /** Packs in memory do not wait, and a second one is filled during an upload only when it is not one of the largest. */
  get #isPiledUp(): boolean {
    const { packSizeBytes } = this.#options;
    if (this.#queue.length > MAX_WAITING_PACKS) return true;
    if (this.#queue.some(({ holdsMemory }) => holdsMemory)) return true;
    return this.#uploading > 0 && packSizeBytes > LARGE_PACK_BYTES;
  }

  async #hash(plaintext: Uint8Array): Promise<Id> {
    const { engine } = this.#options;
    if (plaintext.length < SMALL_BLOB_BYTES) return engine.hash(plaintext);
    return (await engine.hashAll([plaintext])).at(0);
  }

  #sealAndPack(type: BlobType, blobs: readonly NewBlob[]): Promise<number[]> {
    return this.#fill(type, (pack) => pack.seal(blobs));
  }

  /** Does something to an open pack that puts blobs into it; one that is full is uploaded. */
  async #fill<T>(type: BlobType, put: (pack: OpenPack) => Promise<T>): Promise<T> {
    this.#throwFailure();
    const open = this.#open[type];
    const place = randomInt(this.#openPacks);
    open[place] ??= this.#newPack();
    const pack = open[place];
    const putting = put(pack);
    // With what is on its way it may be full already.
    this.#uploadIfFull(type, pack);
    let done: T;
    try {
      done = await putting;
    } catch (error) {
      if (pack.isSpoilt) {
        this.#failure ??= { error };
        this.#uploadSoon(type, pack);
      }
      throw error;
    }
    this.#uploadIfFull(type, pack);
    return done;
  }

  #uploadIfFull(type: BlobType, pack: OpenPack): void {
    if (isFull(pack, this.#options.packSizeBytes)) this.#uploadSoon(type, pack);
  }

  #newPack(): OpenPack {
    const { backend } = this.#options;
    return FilePack.create(this.#options, backend) ?? new MemoryPack(this.#options, backend, this.#memory);
  }

  /** Queues a pack unless it is queued already. */
  #uploadSoon(type: BlobType, pack: OpenPack): void {
    const open = this.#open[type];
    const place = open.indexOf(pack);
    if (place < 0) return;
    open[place] = undefined;
    this.#queue.push(pack);
    this.#startUploads();
  }

  /** Queues what is open of a type, in one pack where that is no larger than a pack should be. */
  async #closePacks(type: BlobType): Promise<void> {
    const [first, ...others] = this.#open[type].filter((pack) => pack !== undefined);
    this.#open[type] = [];
    if (!first) return;
    for (const pack of others) {
      await Promise.all([first.settled(), pack.settled()]);
      try {
        if (canTake(first, pack, this.#options.packSizeBytes)) await first.merge(pack);
        else this.#queue.push(pack);
      } catch (error) {
        this.#failure ??= { error };
        this.#queue.push(pack);
      }
    }
    this.#queue.push(first);
  }

  #startUploads(): void {
    if (this.#failure) for (const pack of this.#queue.splice(0)) this.#forget(pack);
    while (this.#queue.length > 0 && this.#uploading < this.#maxUploads) {
      this.#uploading++;
      void this.#upload(this.#queue.shift()!);
    }
  }

  async #upload(pack: OpenPack): Promise<void> {
    const { indexFiles } = this.#options;
    try {
      await pack.settled();
      const { id, blobs } = await pack.save();
      const number = indexFiles.index.add(id, blobs);
      if (this.#unindexed.length === 0) this.#unindexedSince = Date.now();
      this.#unindexed.push({ pack: { packId: id, blobs }, number });
      this.#unindexedBlobs += blobs.length;
      if (this.#isIndexDue()) await this.#saveIndex();
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#forget(pack);
      this.#uploading--;
      this.#startUploads();
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  #isIndexDue(): boolean {
    return this.#unindexedBlobs >= INDEX_MAX_BLOBS || Date.now() - this.#unindexedSince >= INDEX_MAX_AGE_MS;
  }

  /** Saves what no index file has yet. When that fails it stays where it is, for the next flush, unless the lock is lost. */
  async #saveIndex(): Promise<void> {
    const batch = this.#unindexed;
    const count = this.#unindexedBlobs;
    if (batch.length === 0) return;
    this.#unindexed = [];
    this.#unindexedBlobs = 0;
    const { indexFiles, confirmLock } = this.#options;
    const numbers = batch.map(({ number }) => number);
    try {
      await confirmLock();
    } catch (error) {
      // Others may have pruned what no index file listed.
      indexFiles.index.release(numbers);
      this.#failure ??= { error };
      return;
    }
    try {
      await indexFiles.save(
        batch.map(({ pack }) => pack),
        numbers,
      );
    } catch (error) {
      this.#unindexed = [...batch, ...this.#unindexed];
      this.#unindexedBlobs += count;
      this.#failure ??= { error };
    }
  }

  /** The blobs of a pack are in the index now, or lost: either way they are not on the way any more. */
  #forget(pack: OpenPack): void {
    pack.release();
    for (const { type, id } of pack.blobs) this.#pending.delete(pendingKey(type, id));
  }

  #uploadEnded(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** In the place of a position among those that are sealed. */
const KNOWN = -1;
const NOTHING: Promise<readonly number[]> = Promise.resolve([]);

function pendingKey(type: BlobType, id: Id): string {
  return (type === "tree" ? "t" : "d") + idKey(id);
}
