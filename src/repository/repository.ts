import type { Backend } from "../backend/backend.js";
import { formatId, type Id, parseId } from "../bytes/id.js";
import type { Engine, MasterKey } from "../engine/engine.js";
import { throwIfAborted, UsageError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { RepositoryConfig } from "../format/config.js";
import type { IndexedPack } from "../format/index-file.js";
import type { PackedBlob } from "../format/pack-header.js";
import { randomPolynomial } from "../format/polynomial.js";
import { BlobIndex } from "./blob-index.js";
import type { BlobLoader, BlobResult, PackStretch, PlaintextSink, SizedBlob } from "./blob-loader.js";
import { BlobReader } from "./blob-reader.js";
import { BlobSaver, type SavedBlob, type SmallBlob } from "./blob-saver.js";
import type { CompressionMode } from "./compression.js";
import { CONFIG, encodeReadableConfig, openConfig, replaceConfig } from "./config-file.js";
import { type FoundRepository, findRepository } from "./find-repository.js";
import { IndexFiles, type IndexProblem } from "./index-files.js";
import { IndexUpdates, type LoadIndexOptions } from "./index-updates.js";
import { createMasterKey, type KeyOwner, type ListedKey, listKeys, saveKey, verifyKey } from "./keys.js";
import { type LockOptions, RepositoryLock } from "./lock.js";
import { type ListedLock, listLocks, unlock } from "./lock-conflicts.js";
import type { OnPackBlob, TakeSealed } from "./pack-blobs.js";
import { PackWindowBackend } from "./pack-window-backend.js";
import type { Password } from "./password.js";
import {
  loadRawFile,
  type NamedFileType,
  RepositoryFiles,
  sealFile,
  type UnpackedFileType,
} from "./repository-files.js";
import {
  type CreateRepositoryOptions,
  checkPassword,
  checkSettings,
  DEFAULT_PACK_SIZE_BYTES,
  type OpenRepositoryOptions,
  type RepositorySettings,
} from "./repository-settings.js";

/** What the parts of a repository are built from. */
interface Opened {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly masterKey: MasterKey;
  readonly keyId: Id;
  readonly config: RepositoryConfig;
}

/**
 * A repository whose keys are known: blobs by ID, files by type and ID, locks.
 *
 * Start here: `Repository.open`, then `lock`, `loadIndex`, and `loadBlob` to read; `saveBlob` for all there
 * is, `flush`, and a snapshot file last to write. In that order an interruption at any point leaves a
 * repository that is whole: what a file refers to is always there before it. The backend belongs to the
 * caller, who closes it after the repository.
 */
export class Repository implements BlobLoader {
  readonly backend: Backend;
  readonly engine: Engine;
  readonly config: RepositoryConfig;
  /** The key file that the password fitted. */
  readonly keyId: Id;
  readonly compression: CompressionMode;
  /** A pack is finished when it is this large. */
  readonly packSizeBytes: number;
  readonly index = new BlobIndex();
  readonly #masterKey: MasterKey;
  readonly #files: RepositoryFiles;
  readonly #indexFiles: IndexFiles;
  readonly #reader: BlobReader;
  readonly #packWindows: PackWindowBackend;
  readonly #aheadReader: BlobReader;
  readonly #saver: BlobSaver;
  readonly #locks = new Set<RepositoryLock>();
  readonly #indexUpdates: IndexUpdates;
  /** As of an index of so many entries. */
  #treePacks: { readonly size: number; readonly names: ReadonlySet<string> } | undefined;

  private constructor(opened: Opened, settings: RepositorySettings) {
    const { backend, engine, masterKey, keyId, config } = opened;
    const compression = settings.compression ?? "auto";
    const packSizeBytes = settings.packSizeBytes ?? DEFAULT_PACK_SIZE_BYTES;
    const extraVerify = settings.extraVerify ?? true;
    const { version } = config;
    this.backend = backend;
    this.engine = engine;
    this.config = config;
    this.keyId = keyId;
    this.compression = compression;
    this.packSizeBytes = packSizeBytes;
    this.#masterKey = masterKey;
    const parts = { backend, engine, masterKey, version, compression, extraVerify };
    this.#files = new RepositoryFiles(parts);
    this.#indexFiles = new IndexFiles(this.index, backend, engine, this.#files, version);
    this.#indexUpdates = new IndexUpdates(this.#indexFiles);
    const refreshIndex = (gone: readonly Id[], signal?: AbortSignal) =>
      this.#indexUpdates.refresh(gone, signal);
    const reading = { engine, masterKey, version, index: this.index, refreshIndex };
    this.#reader = new BlobReader({ ...reading, backend });
    this.#packWindows = new PackWindowBackend(backend);
    this.#aheadReader = new BlobReader({ ...reading, backend: this.#packWindows });
    this.#saver = new BlobSaver({
      ...parts,
      indexFiles: this.#indexFiles,
      packSizeBytes,
      confirmLock: () => this.#confirmLocks(),
    });
  }

  /**
   * Makes a repository in an empty place: layout, master key, a key file for the password, and the config
   * last, so that a place where it was interrupted is no repository.
   *
   * @throws {UsageError} if the place holds a config, a key or a snapshot already
   */
  static async create(
    backend: Backend,
    engine: Engine,
    options: CreateRepositoryOptions,
  ): Promise<Repository> {
    checkSettings(options);
    checkPassword("create", backend, options);
    await requireEmptyPlace(backend);
    const config: RepositoryConfig = {
      version: options.version ?? 2,
      id: formatId(engine.randomBytes(32)),
      chunkerPolynomial:
        options.chunkerPolynomial ?? randomPolynomial((length) => engine.randomBytes(length)),
      unknown: {},
    };
    const json = encodeReadableConfig(config);
    await backend.create();
    const masterKey = createMasterKey(engine);
    const keyId = await saveKey(backend, engine, masterKey, options.password, options.owner);
    try {
      await backend.save(CONFIG, [await sealFile(engine, masterKey, json, true)]);
    } catch (error) {
      // A key that is left behind would make the next attempt refuse the place.
      await backend.remove({ type: "key", name: formatId(keyId) }).catch(() => {});
      throw error;
    }
    return new Repository({ backend, engine, masterKey, keyId, config }, options);
  }

  /**
   * Opens a repository with a password. The index is not loaded yet.
   *
   * @throws {YoreError} `no-repository` if there is no config, `wrong-password` if no key fits
   * @throws {DamagedError} if the config is empty, cannot be unsealed or decoded
   */
  static async open(backend: Backend, engine: Engine, options: OpenRepositoryOptions): Promise<Repository> {
    checkSettings(options);
    checkPassword("open", backend, options);
    return Repository.openFound(await findRepository(backend, engine, options), options);
  }

  /** The same for one that was looked for already: after a wrong password, another may follow. */
  static async openFound(found: FoundRepository, options: OpenRepositoryOptions): Promise<Repository> {
    const { backend, engine, sealedConfig, keys } = found;
    checkSettings(options);
    checkPassword("open", backend, options);
    const { id: keyId, masterKey } = await keys.open(options.password);
    throwIfAborted(options.signal);
    const { config } = await openConfig(backend, engine, masterKey, sealedConfig);
    return new Repository({ backend, engine, masterKey, keyId, config }, options);
  }

  /**
   * Index files that the last `loadIndex` could not take in: the blobs that only they know cannot be found.
   */
  get indexProblems(): readonly IndexProblem[] {
    return this.#indexFiles.problems;
  }

  /** Index files whose content is in `index`. */
  get indexIds(): Id[] {
    return this.#indexFiles.ids;
  }

  /** The numbers in `index` of the packs that a loaded index file lists; `undefined` when it is not loaded. */
  packsOfIndexFile(id: Id): Uint32Array | undefined {
    return this.#indexFiles.packsOf(id);
  }

  /** Saves an index file with packs that `index` knows already. @returns its ID */
  async saveIndexFile(packs: readonly IndexedPack[]): Promise<Id> {
    await this.#confirmLocks();
    return this.#indexFiles.saveAgain(packs);
  }

  /** The three keys; whoever has them can read everything, for ever. */
  get masterKey(): MasterKey {
    return this.#masterKey;
  }

  /**
   * Brings `index` up to date: loads index files that are new, drops the entries of those that are gone.
   * Files that cannot be read do not stop it: look at `indexProblems` afterwards.
   */
  loadIndex(options: LoadIndexOptions = {}): Promise<void> {
    return this.#indexUpdates.load(options);
  }

  /**
   * Loads the index before anybody asks for it, while something else takes its time. Never rejects: what goes wrong goes
   * wrong again in `loadIndex`.
   *
   * @param options `asIs`: the next `loadIndex` takes what was loaded so, unless that began more than five seconds ago;
   *   otherwise it loads what has changed since
   */
  loadIndexAhead(options: { readonly asIs: boolean; readonly signal?: AbortSignal }): Promise<void> {
    return this.#indexUpdates.loadAhead(options);
  }

  /** Whether the index knows of a tree in a pack, given by its name. */
  holdsTrees(packName: string): boolean {
    const { size } = this.index;
    if (this.#treePacks?.size !== size) this.#treePacks = { size, names: this.index.treePacks() };
    return this.#treePacks.names.has(packName);
  }

  /** Empties `index`, for when what it says about packs is not to be believed. */
  unloadIndex(): void {
    this.#indexUpdates.clear();
  }

  loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#reader.loadBlob(type, id, signal);
  }

  /**
   * The same for blobs that are asked for about in the order in which they were saved: packs are read in long stretches,
   * of which 4 MiB are kept until `flush`.
   */
  get inOrder(): BlobLoader {
    return this.#aheadReader;
  }

  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#reader.blobSize(type, id);
  }

  loadBlobs(
    type: BlobType,
    ids: readonly Id[],
    on: (id: Id, result: BlobResult) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#reader.loadBlobs(type, ids, on, signal);
  }

  loadBlobsInto(
    type: BlobType,
    ids: readonly Id[],
    sink: PlaintextSink,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#reader.loadBlobsInto(type, ids, sink, signal);
  }

  following(type: BlobType, id: Id, maxBytes: number): SizedBlob[] {
    return this.#reader.following(type, id, maxBytes);
  }

  stretch(type: BlobType, id: Id, stretchBytes: number): PackStretch | undefined {
    return this.#reader.stretch(type, id, stretchBytes);
  }

  /** Loads many blobs of one pack with few requests. See `BlobReader.loadPackBlobs`. */
  loadPackBlobs<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    on: OnPackBlob<Blob>,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#reader.loadPackBlobs(packId, blobs, on, signal);
  }

  /** Hands many blobs of one pack on as they are, sealed. See `BlobReader.takePackBlobs`. */
  takePackBlobs<Blob extends PackedBlob>(
    packId: Id,
    blobs: readonly Blob[],
    take: TakeSealed<Blob>,
    on: OnPackBlob<Blob>,
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#reader.takePackBlobs(packId, blobs, take, on, signal);
  }

  /** The list of blobs at the end of a pack. See `BlobReader.readPackHeader`. */
  readPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackedBlob[]> {
    return this.#reader.readPackHeader(packId, size, signal);
  }

  /** Saves a blob unless it is known. See `BlobSaver.save`; nothing can be found before `flush`. */
  saveBlob(type: BlobType, plaintext: Uint8Array, id?: Id): Promise<SavedBlob> {
    return this.#saver.save(type, plaintext, id);
  }

  /** Saves many small blobs of file content with one hop. See `BlobSaver.saveSmall`. */
  saveSmallBlobs(blobs: readonly SmallBlob[]): Promise<SavedBlob[]> {
    return this.#saver.saveSmall(blobs);
  }

  /**
   * Saves a blob of this repository once more, as it is sealed already. See `BlobSaver.saveSealed`.
   */
  saveSealedBlob(type: BlobType, id: Id, sealed: Uint8Array, uncompressedLength: number): Promise<void> {
    return this.#saver.saveSealed(type, id, sealed, uncompressedLength);
  }

  /** Saves a blob once more, sealed anew. See `BlobSaver.saveAgain`. */
  saveBlobAgain(type: BlobType, id: Id, plaintext: Uint8Array): Promise<void> {
    return this.#saver.saveAgain(type, id, plaintext);
  }

  /**
   * Finishes all packs and saves their index. See `BlobSaver.flush`; also right after a failure or an
   * interruption.
   */
  flush(): Promise<void> {
    this.#packWindows.clear();
    return this.#saver.flush();
  }

  /** The JSON of a file. @throws {NotFoundError} or {DamagedError}, naming the file */
  loadFile(type: UnpackedFileType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#files.load(type, id, signal);
  }

  /**
   * Seals and saves a JSON text. While a lock is held, it is made sure first that it still is. @returns the
   * ID of the new file
   */
  async saveFile(type: UnpackedFileType, json: Uint8Array): Promise<Id> {
    if (type !== "lock") await this.#confirmLocks();
    return this.#files.save(type, json);
  }

  /** Removes a file. While a lock is held, it is made sure first that it still is. @throws {NotFoundError} */
  async removeFile(type: NamedFileType, id: Id): Promise<void> {
    if (type !== "lock") await this.#confirmLocks();
    await this.backend.remove({ type, name: formatId(id) });
    if (type === "index") this.#indexFiles.forget(id);
  }

  /** All files of a type, in no order. */
  async *listFiles(type: NamedFileType): AsyncIterable<{ readonly id: Id; readonly size: number }> {
    for await (const { name, size } of this.backend.list(type)) {
      const id = parseId(name);
      if (id) yield { id, size };
    }
  }

  /**
   * The bytes of a file as they are stored, checked against its name. @throws {NotFoundError} or
   * {DamagedError}
   */
  loadRaw(type: NamedFileType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return loadRawFile(this.backend, this.engine, type, id, signal);
  }

  listKeys(): AsyncIterable<ListedKey> {
    return listKeys(this.backend, this.engine);
  }

  /**
   * Saves a key file for one more password, and opens it: a key that does not open is removed again, and no reason to
   * remove another. @returns its ID
   */
  async addKey(password: Password, owner?: KeyOwner): Promise<Id> {
    await this.#confirmLocks();
    const id = await saveKey(this.backend, this.engine, this.#masterKey, password, owner);
    try {
      await verifyKey(this.backend, this.engine, id, password);
    } catch (error) {
      await this.backend.remove({ type: "key", name: formatId(id) }).catch(() => {});
      throw error;
    }
    return id;
  }

  /** Takes a lock. See `RepositoryLock.acquire`. @throws {LockedError} */
  async lock(options: LockOptions): Promise<RepositoryLock> {
    const settled = this.backend.listsAtOnce ? { settleMs: 0 } : {};
    const lock = await RepositoryLock.acquire(this, {
      ...options,
      timings: { ...settled, ...options.timings },
    });
    this.#locks.add(lock);
    return lock;
  }

  /** What all lock files say. */
  listLocks(signal?: AbortSignal): Promise<ListedLock[]> {
    return listLocks(this, signal);
  }

  /** Removes stale locks, or all. @returns how many */
  unlock(options: { readonly removeAll?: boolean; readonly signal?: AbortSignal } = {}): Promise<number> {
    return unlock(this, options);
  }

  /**
   * Makes a repository of version 1 one of version 2, for whoever opens it next: saves another config. What was there is
   * put back when that fails.
   */
  async upgrade(): Promise<void> {
    await this.#confirmLocks();
    await replaceConfig(this.backend, this.engine, this.#masterKey, { ...this.config, version: 2 });
  }

  /** Releases the locks that are still held. The backend stays open. */
  async close(): Promise<void> {
    await Promise.all([...this.#locks].map((lock) => lock.release()));
    this.#locks.clear();
  }

  async #confirmLocks(): Promise<void> {
    for (const lock of this.#locks) {
      if (lock.released) this.#locks.delete(lock);
      else await lock.confirm();
    }
  }
}

async function requireEmptyPlace(backend: Backend): Promise<void> {
  const refuse = (found: string) =>
    // restic's words, which scripts look for: some backends of it say the former, some the latter.
    new UsageError(`create repository at ${backend.location} failed: ${found}, it is already initialized`);
  for await (const _ of backend.list("config")) throw refuse("config file already exists");
  for await (const _ of backend.list("key")) throw refuse("keys already exist");
  for await (const _ of backend.list("snapshot")) throw refuse("snapshots already exist");
}
