import type { FileHandle } from "node:fs/promises";
import { BatchQueue } from "../async/batch-queue.js";
import { Semaphore } from "../async/semaphore.js";
import { IdList } from "../bytes/id.js";
import { CHUNK_MIN_BYTES } from "../engine/engine.js";
import type { TreeNode } from "../format/node.js";
import type { SavedBlob, SmallBlob } from "../repository/blob-saver.js";
import { type AddedBlobs, type BackupProgress, noBlobs } from "./backup-progress.js";
import { type BlobStore, countBlob } from "./blob-store.js";
import { type ByteSource, ContentSaver, SourceError } from "./content-saver.js";
import { type FileRecord, type FileStat, isRegularFile } from "./file-record.js";
import type { NodeBuilder } from "./node-builder.js";
import { fileStat, fillFrom, openForReading } from "./portable-scanner.js";
import { displayPath, type RawPath } from "./raw-path.js";
import { ReusePool } from "./reuse-pool.js";
import type { Scanner } from "./scanner.js";
import { segmentPool } from "./segment.js";

export interface FileJob {
  readonly path: RawPath;
  /** Name in the snapshot, raw bytes as a Latin-1 string. */
  readonly name: string;
  readonly record: FileRecord;
}

export interface SavedFile {
  readonly node: TreeNode;
  readonly added: AddedBlobs;
}

/**
 * Files below the smallest length of a chunk are one chunk each, and worth a batch when they are really
 * small.
 */
const SMALL_FILE_BYTES = CHUNK_MIN_BYTES;
const BATCH_ALONE_BYTES = 128 * 1024;
const BATCH_FILES = 64;
/** Some of them are read while others are sealed. */
const BATCHES_IN_FLIGHT = 8;
/** Room for a batch, or for one file that travels alone, each with the byte behind its end. */
const BATCH_BYTES = 1024 * 1024;
/** A file from this size on that is not in the kernel's cache does not stay there either. */
const PASSING_BYTES = 8 * 1024 * 1024;
/** How many small files are shown as being read: a renderer has room for no more. */
const SHOWN_SMALL_FILES = 8;

/**
 * Reads files and saves their content. Metadata is that of the file as it was opened, so that content and
 * node agree.
 */
export class FileSaver {
  readonly #store: BlobStore;
  readonly #scanner: Scanner;
  readonly #nodes: NodeBuilder;
  readonly #progress: BackupProgress;
  readonly #contents: ContentSaver;
  readonly #largeFiles: Semaphore;
  readonly #batchBuffers = new ReusePool(BATCHES_IN_FLIGHT, () => Buffer.allocUnsafeSlow(BATCH_BYTES));
  /** Gives `undefined` for a file that turned out not to be small. */
  readonly #smallFiles: BatchQueue<FileJob, SavedFile | SourceError | undefined>;

  constructor(
    store: BlobStore,
    scanner: Scanner,
    nodes: NodeBuilder,
    progress: BackupProgress,
    readConcurrency: number,
  ) {
    this.#store = store;
    this.#scanner = scanner;
    this.#nodes = nodes;
    this.#progress = progress;
    // Each file under way holds a segment that is cut and one that is read; the others wait to be saved.
    const segments = segmentPool(2 * readConcurrency + 3);
    this.#contents = new ContentSaver(store, segments, progress);
    this.#largeFiles = new Semaphore(readConcurrency);
    this.#smallFiles = new BatchQueue({
      work: (jobs) => this.#saveBatch(jobs),
      weigh: (job) => job.record.stat.size + 1,
      aloneFrom: BATCH_ALONE_BYTES,
      maxItems: BATCH_FILES,
      maxWeight: BATCH_BYTES,
      maxInFlight: BATCHES_IN_FLIGHT,
    });
  }

  /** @throws {SourceError} when the file cannot be read; anything else is the repository's failure */
  async save(job: FileJob, signal: AbortSignal): Promise<SavedFile> {
    const small = job.record.stat.size <= SMALL_FILE_BYTES ? await this.#saveSmall(job) : undefined;
    return small ?? (await this.#largeFiles.run(() => this.#saveLarge(job, signal)));
  }

  /** `undefined` when the file is larger than it was. */
  async #saveSmall(job: FileJob): Promise<SavedFile | undefined> {
    const shown = this.#progress.currentFiles.size < SHOWN_SMALL_FILES ? displayPath(job.path) : undefined;
    if (shown) this.#progress.currentFiles.add(shown);
    try {
      const saved = await this.#smallFiles.run(job);
      if (saved instanceof SourceError) throw saved;
      return saved;
    } finally {
      if (shown) this.#progress.currentFiles.delete(shown);
    }
  }

  async #saveBatch(jobs: readonly FileJob[]): Promise<(SavedFile | SourceError | undefined)[]> {
    const buffer = await this.#batchBuffers.acquire();
    try {
      const requests = jobs.map(({ path, record }) => ({ path, size: record.stat.size }));
      const files = await this.#scanner.readSmallFiles(requests, buffer);
      const blobs: SmallBlob[] = [];
      for (const file of files)
        if ("id" in file && file.id) blobs.push({ id: file.id, plaintext: file.content! });
      const saved = (await this.#store.saveSmallBlobs(blobs)).values();
      return files.map((file, i) => {
        const job = jobs[i]!;
        if ("error" in file) return new SourceError(file.error);
        if (!isRegularFile(file.stat)) return changedType(job.path);
        if (file.content === undefined) return undefined;
        return this.#savedSmall(job, file.stat, file.content.length, file.id && saved.next().value);
      });
    } finally {
      this.#batchBuffers.release(buffer);
    }
  }

  #savedSmall(job: FileJob, stat: FileStat, size: number, blob: SavedBlob | undefined): SavedFile {
    const added = noBlobs();
    if (blob) countBlob(added, "data", blob);
    this.#progress.bytesDone += size;
    const content = blob ? new IdList(blob.id) : IdList.EMPTY;
    return { node: this.#nodes.build(job.name, job.record, content, stat, size), added };
  }

  async #saveLarge(job: FileJob, signal: AbortSignal): Promise<SavedFile> {
    const shown = displayPath(job.path);
    this.#progress.currentFiles.add(shown);
    let file: FileHandle | undefined;
    try {
      file = await fromSource(openForReading(job.path));
      const stat = fileStat(await fromSource(file.stat({ bigint: true })));
      if (!isRegularFile(stat)) throw changedType(job.path);
      const { content, size, added } = await this.#contents.save(this.#source(file, stat), signal);
      return { node: this.#nodes.build(job.name, job.record, content, stat, size), added };
    } finally {
      await file?.close();
      this.#progress.currentFiles.delete(shown);
    }
  }

  #source(file: FileHandle, stat: FileStat): ByteSource {
    const { pageCache } = this.#scanner;
    const isPassing = stat.size >= PASSING_BYTES && pageCache?.isCached(file.fd, 0, stat.size) === false;
    const fill = async (buffer: Buffer, position: number) => {
      const filled = await fillFrom(file, buffer, position);
      if (isPassing) pageCache!.forgetCached(file.fd, position, filled);
      return filled;
    };
    // Only a file that takes less room than it is long can have holes.
    if (stat.blocks * 512 >= stat.size) return { fill };
    return { fill, size: stat.size, seekData: (position) => this.#scanner.seekData(file.fd, position) };
  }
}

async function fromSource<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new SourceError(error as Error);
  }
}

function changedType(path: RawPath): SourceError {
  return new SourceError(new Error(`file ${displayPath(path)} changed type, refusing to archive`));
}
