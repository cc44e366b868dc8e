import { forEachConcurrently } from "../async/map-concurrently.js";
import type { Backend } from "../backend/backend.js";
import { append } from "../bytes/append.js";
import { formatId, formatShortId, type Id, parseId } from "../bytes/id.js";
import type { Engine, IndexColumns } from "../engine/engine.js";
import { NotFoundError, YoreError } from "../errors.js";
import { decodeIndexFile, encodeIndexFile, type IndexedPack } from "../format/index-file.js";
import type { BlobIndex } from "./blob-index.js";
import { confirmThere } from "./confirm-there.js";
import type { RepositoryFiles } from "./repository-files.js";

/** An index file that could not be taken in; the others are. */
export interface IndexProblem {
  readonly id: Id;
  readonly error: YoreError;
}

/** Counters for a progress display. */
export interface IndexProgress {
  totalFiles: number;
  loadedFiles: number;
}

/**
 * How often a load starts over because index files vanished under it: another client's prune writes new ones
 * first.
 */
const MAX_ROUNDS = 4;

/**
 * While one is taken in on the main thread, two are unsealed and parsed: 5 million blobs load in 3.25 s instead of 3.55
 * with one, and take 15 MiB more. A fourth saves nothing.
 */
const FILES_AT_A_TIME = 3;

/**
 * Keeps the index in memory in step with the index files of the repository: knows which files are in it and
 * which packs each one listed, so that loading again costs only what is new.
 */
export class IndexFiles {
  readonly index: BlobIndex;
  readonly #backend: Backend;
  readonly #files: RepositoryFiles;
  readonly #version: 1 | 2;
  readonly #engine: Engine;
  /** Per file name, the numbers of the packs that it lists. */
  readonly #loaded = new Map<string, Uint32Array>();
  #problems: IndexProblem[] = [];

  constructor(index: BlobIndex, backend: Backend, engine: Engine, files: RepositoryFiles, version: 1 | 2) {
    this.index = index;
    this.#backend = backend;
    this.#engine = engine;
    this.#files = files;
    this.#version = version;
  }

  /** The index files that the last load could not take in. */
  get problems(): readonly IndexProblem[] {
    return this.#problems;
  }

  /** IDs of the index files whose content is in memory. */
  get ids(): Id[] {
    return [...this.#loaded.keys()].map((name) => parseId(name)!);
  }

  /**
   * Loads the index files that are new and drops the entries of those that vanished, the new ones first, so
   * that no blob is missing in between. A file that cannot be read becomes one of the `problems`.
   *
   * @returns whether that changed anything
   * @throws {YoreError} when the files cannot be listed, or the repository is not there any more
   */
  async load(options: { signal?: AbortSignal; progress?: IndexProgress } = {}): Promise<boolean> {
    // What this program saves while the load runs may be missing in the listing, and is no less there.
    const before = [...this.#loaded.keys()];
    let isChanged = false;
    for (let round = 1; ; round++) {
      const listed = new Set<string>();
      for await (const { name } of this.#backend.list("index")) listed.add(name);
      if (listed.size === 0 && before.length > 0) await confirmThere(this.#backend, "index files");
      const missing = [...listed].filter((name) => !this.#loaded.has(name));
      if (options.progress) {
        options.progress.totalFiles = listed.size;
        options.progress.loadedFiles = listed.size - missing.length;
      }
      const problems: IndexProblem[] = [];
      await forEachConcurrently(
        missing,
        Math.max(FILES_AT_A_TIME, this.#backend.connections),
        (name) => this.#loadOne(name, problems, options),
        options.signal,
      );
      const taken = missing.filter((name) => this.#loaded.has(name));
      isChanged ||= taken.length > 0;
      const vanished = problems.some(({ error }) => error instanceof NotFoundError);
      if (vanished && round < MAX_ROUNDS) {
        // What was taken in may vanish as well.
        append(before, taken);
        continue;
      }
      this.#problems = problems;
      const gone = before.filter((name) => !listed.has(name));
      for (const name of gone) this.#drop(name);
      return isChanged || gone.length > 0;
    }
  }

  /** The numbers of the packs that a loaded index file lists; `undefined` when it is not loaded. */
  packsOf(id: Id): Uint32Array | undefined {
    return this.#loaded.get(formatId(id));
  }

  /** Saves what the index in memory says about packs once more, in a new file. */
  async saveAgain(packs: readonly IndexedPack[]): Promise<Id> {
    const id = await this.#files.save("index", encodeIndexFile(packs));
    this.#keep(
      formatId(id),
      Uint32Array.from(packs, ({ packId }) => this.index.retain(packId)),
    );
    return id;
  }

  /** Forgets what was loaded. */
  clear(): void {
    this.#loaded.clear();
    this.#problems = [];
    this.index.clear();
  }

  /** Takes note that an index file was removed: packs that no other file lists are gone. */
  forget(id: Id): void {
    this.#drop(formatId(id));
  }

  /** Saves packs whose entries are in memory already as a new index file. */
  async save(packs: readonly IndexedPack[], packNumbers: readonly number[]): Promise<Id> {
    const id = await this.#files.save("index", encodeIndexFile(packs));
    this.#keep(formatId(id), Uint32Array.from(packNumbers));
    return id;
  }

  async #loadOne(
    name: string,
    problems: IndexProblem[],
    { signal, progress }: { signal?: AbortSignal; progress?: IndexProgress },
  ): Promise<void> {
    const id = parseId(name)!;
    try {
      const json = await this.#files.load("index", id, signal);
      const columns = await this.#parse(json);
      this.#keep(name, columns ? this.index.addColumns(columns) : this.#takeIn(json));
    } catch (error) {
      if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
      problems.push({ id, error: error.code === "format" ? badIndex(id, error) : error });
    } finally {
      if (progress) progress.loadedFiles++;
    }
  }

  /** Most files are of the form that the engine knows; the others, and the wrong ones, are for the decoder. */
  async #parse(json: Uint8Array): Promise<IndexColumns | undefined> {
    const columns = await this.#engine.parseIndex?.(json);
    if (this.#version === 1 && columns?.uncompressed.some((length) => length > 0)) return undefined;
    return columns;
  }

  /** All of a file or nothing of it. @returns the numbers of its packs */
  #takeIn(json: Uint8Array): Uint32Array {
    const numbers: number[] = [];
    let current = 0;
    try {
      decodeIndexFile(
        json,
        {
          pack: (packId) => {
            current = this.index.retain(packId);
            numbers.push(current);
          },
          blob: (type, id, offset, length, uncompressedLength) =>
            this.index.addBlob(current, type, id, offset, length, uncompressedLength),
        },
        { version: this.#version },
      );
    } catch (error) {
      this.index.release(numbers);
      throw error;
    }
    return Uint32Array.from(numbers);
  }

  /**
   * Notes what a file lists. A load that runs while the same file is saved may have come first: it counts
   * once.
   */
  #keep(name: string, packs: Uint32Array): void {
    if (this.#loaded.has(name)) this.index.release(packs);
    else this.#loaded.set(name, packs);
  }

  #drop(name: string): void {
    const packs = this.#loaded.get(name);
    this.#loaded.delete(name);
    if (packs) this.index.release(packs);
  }
}

function badIndex(id: Id, cause: YoreError): YoreError {
  return new YoreError("damaged", `Cannot load index ${formatShortId(id)}: ${cause.message}`, {
    cause,
    hint: `The damaged file is index ${formatId(id)}`,
  });
}
