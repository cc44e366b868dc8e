import type { FileHandle } from "node:fs/promises";
import { BatchQueue } from "../async/batch-queue.js";
import { Semaphore } from "../async/semaphore.js";
import { type Id, IdList } from "../bytes/id.js";
import { CHUNK_MIN_BYTES } from "../engine/engine.js";
import type { TreeNode } from "../format/node.js";
import { type AddedBlobs, type BackupProgress, noBlobs } from "./backup-progress.js";
import { type BlobStore, countBlob } from "./blob-store.js";
import { type ByteSource, ContentSaver, SourceError } from "./content-saver.js";
import { type FileRecord, type FileStat, isRegularFile } from "./file-record.js";
import type { NodeBuilder } from "./node-builder.js";
import { fileStat, fillFrom, openForReading } from "./portable-scanner.js";
import { displayPath, type RawPath } from "./raw-path.js";
import { ReusePool } from "./reuse-pool.js";
import type { Scanner } from "./scanner.js";
import { Segment } from "./segment.js";

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

/** A small file that was read and hashed. */
interface ReadFile {
  readonly stat: FileStat;
  /** `undefined` when the file turned out not to be small. */
  readonly content: Buffer | undefined;
  /** `undefined` when there is no content. */
  readonly id: Id | undefined;
  /** To be called when the content is not needed any more. */
  readonly release: () => void;
}

/**
 * Files below the smallest length of a chunk are one chunk each, and worth a batch when they are really
 * small.
 */
const SMALL_FILE_BYTES = CHUNK_MIN_BYTES;
const BATCH_ALONE_BYTES = 128 * 1024;
const BATCH_FILES = 64;
const BATCHES_IN_FLIGHT = 4;
/** Room for a batch, or for one file that travels alone, each with the byte behind its end. */
const BATCH_BYTES = 1024 * 1024;
/** Batches being read, and as many whose files wait to be saved. */
const BATCH_BUFFERS = 2 * BATCHES_IN_FLIGHT;
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
  readonly #batchBuffers = new ReusePool(BATCH_BUFFERS, () => Buffer.allocUnsafeSlow(BATCH_BYTES));
  readonly #smallFiles: BatchQueue<FileJob, ReadFile | { error: Error }>;

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
    const segments = new ReusePool(2 * readConcurrency + 3, () => new Segment());
    this.#contents = new ContentSaver(store, segments, progress);
    this.#largeFiles = new Semaphore(readConcurrency);
    this.#smallFiles = new BatchQueue({
      work: (jobs) => this.#readBatch(jobs),
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
    let read: ReadFile | { error: Error } | undefined;
    try {
      read = await this.#smallFiles.run(job);
      if ("error" in read) throw new SourceError(read.error);
      if (!isRegularFile(read.stat)) throw changedType(job.path);
      if (read.content === undefined) return undefined;
      const added = noBlobs();
      if (read.id) countBlob(added, "data", await this.#store.saveBlob("data", read.content, read.id));
      this.#progress.bytesDone += read.content.length;
      const content = read.id ? new IdList(read.id) : IdList.EMPTY;
      return { node: this.#node(job, read.stat, content, read.content.length), added };
    } finally {
      if (read && "release" in read) read.release();
      if (shown) this.#progress.currentFiles.delete(shown);
    }
  }

  async #readBatch(jobs: readonly FileJob[]): Promise<(ReadFile | { error: Error })[]> {
    const buffer = await this.#batchBuffers.acquire();
    const release = () => this.#batchBuffers.release(buffer);
    try {
      const requests = jobs.map(({ path, record }) => ({ path, size: record.stat.size }));
      const files = await this.#scanner.readSmallFiles(requests, buffer);
      const contents = files.map((file) => ("error" in file ? undefined : file.content));
      const filled = contents.filter((content) => content !== undefined && content.length > 0) as Buffer[];
      const ids = (await this.#store.engine.hashAll(filled))[Symbol.iterator]();
      return files.map((file, i) => {
        if ("error" in file) return file;
        this.#batchBuffers.hold(buffer);
        const content = contents[i];
        const id = content?.length ? (ids.next().value as Id) : undefined;
        return { stat: file.stat, content, id, release };
      });
    } finally {
      release();
    }
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
      return { node: this.#node(job, stat, content, size), added };
    } finally {
      await file?.close();
      this.#progress.currentFiles.delete(shown);
    }
  }

  #source(file: FileHandle, stat: FileStat): ByteSource {
    const fill = (buffer: Buffer, position: number) => fillFrom(file, buffer, position);
    // Only a file that takes less room than it is long can have holes.
    if (stat.blocks * 512 >= stat.size) return { fill };
    return { fill, size: stat.size, seekData: (position) => this.#scanner.seekData(file.fd, position) };
  }

  #node(job: FileJob, stat: FileStat, content: IdList, size: number): TreeNode {
    return { ...this.#nodes.build(job.name, job.record, stat), content, size };
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
