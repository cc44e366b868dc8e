import { type BigIntStats, constants, fchmod, fstat, ftruncate, write } from "node:fs";
import { chmod } from "node:fs/promises";
import { promisify } from "node:util";
import { awaitedLater } from "../async/awaited-later.js";
import { SingleFlight } from "../async/single-flight.js";
import { systemCodeOf } from "../errors.js";
import type { OpenTargetFile, TargetFolder } from "./target-folder.js";

const writeAsync = promisify(write);
const statAsync = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;
const truncateAsync = promisify(ftruncate);
const chmodAsync = promisify(fchmod);

/** Descriptors kept open between writes; a shell gives 1,024 at most. */
const OPEN_FILES = 64;
/** Holes are made of whole blocks; smaller ones save nothing on any common file system. */
const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(HOLE_BYTES);

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/** A file that is written piece by piece, in whatever order the packs have them. */
export interface WrittenFile {
  readonly location: string;
  /** Bytes that the file has in the end. */
  readonly size: number;
  /** True when the name cannot be taken yet: its folder was made by this run. */
  readonly isFresh: boolean;
  /** True when the file that is there is written into; false when it gives way. */
  readonly keepsContent: boolean;
}

interface OpenFile extends HeldFile {
  readonly file: OpenTargetFile;
  users: number;
}

/** A file that stays open until it is let go. */
export interface HeldFile {
  readonly file: { readonly fd: number };
  /** True when every byte that was not written yet is zero. */
  readonly isBlank: boolean;
}

/** Which file it is that was opened: another one may have its name by now. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Whether a status is that of the file. */
export function isFile(status: BigIntStats | undefined, { device, inode }: FileIdentity): boolean {
  return status?.dev === device && status.ino === inode;
}

interface BegunFile extends FileIdentity {
  /** Whether it began empty. */
  readonly isBlank: boolean;
}

/** Writes pieces at offsets into any number of files with a bounded number of descriptors. */
export class FileWriter {
  readonly #target: TargetFolder;
  readonly #sparse: boolean;
  readonly #removeFolders: boolean;
  /** In the order of their last use. */
  readonly #open = new Map<WrittenFile, OpenFile>();
  readonly #opening = new SingleFlight<WrittenFile, OpenFile>();
  /** Files that were opened before: the next time they are there and ours. */
  readonly #begun = new Map<WrittenFile, BegunFile>();
  /** Files that were closed to make room, until that has ended well: what it says is said when they are finished. */
  readonly #closing = new Map<WrittenFile, Promise<void>>();

  /** @param options.removeFolders whether a folder that is in the way is removed with all that it holds */
  constructor(target: TargetFolder, options: { readonly sparse: boolean; readonly removeFolders: boolean }) {
    this.#target = target;
    this.#sparse = options.sparse;
    this.#removeFolders = options.removeFolders;
  }

  async write(file: WrittenFile, data: Uint8Array, offset: number): Promise<void> {
    await this.#use(file, async ({ file: { fd }, isBlank }) => {
      if (!this.#sparse || !isBlank) return writeFully(fd, data, 0, data.length, offset);
      for (const [start, end] of dataRuns(data, offset)) await writeFully(fd, data, start, end, offset);
    });
  }

  /** Makes the file exist with its size, for those without anything to write. */
  async touch(file: WrittenFile): Promise<void> {
    await this.#use(file, () => Promise.resolve());
  }

  /** A file that is not finished; `undefined` when it was never opened. */
  begun(file: WrittenFile): FileIdentity | undefined {
    return this.#begun.get(file);
  }

  /** Closes a file that needs nothing more. @throws what the file system has to say about earlier writes */
  async finish(file: WrittenFile): Promise<void> {
    this.#begun.delete(file);
    const open = this.#open.get(file);
    this.#open.delete(file);
    const closing = this.#closing.get(file);
    this.#closing.delete(file);
    await open?.file.close();
    await closing;
  }

  /** Closes everything, errors included: for the end of a run that failed. */
  async close(): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(files.map(({ file }) => file.close()));
  }

  /** Opens a file unless it is open, and keeps it so until `letGo`. */
  async hold(file: WrittenFile): Promise<HeldFile> {
    let open = this.#open.get(file);
    while (!open) {
      await this.#opening.run(file, () => this.#openFile(file));
      open = this.#open.get(file);
    }
    // The last used is the last to be closed.
    this.#open.delete(file);
    this.#open.set(file, open);
    open.users++;
    return open;
  }

  letGo(file: WrittenFile): void {
    const open = this.#open.get(file);
    if (open) open.users--;
  }

  async #use(file: WrittenFile, work: (held: HeldFile) => Promise<void>): Promise<void> {
    const held = await this.hold(file);
    try {
      await work(held);
    } finally {
      this.letGo(file);
    }
  }

  async #openFile(file: WrittenFile): Promise<OpenFile> {
    await this.#makeRoom();
    const before = this.#begun.get(file);
    const opened = before
      ? await this.#target.open(file.location, O_WRONLY | O_NOFOLLOW)
      : await this.#begin(file);
    const open = { file: opened, isBlank: this.#begun.get(file)!.isBlank, users: 0 };
    this.#open.set(file, open);
    return open;
  }

  /** Opens a file for the first time. */
  async #begin(file: WrittenFile): Promise<OpenTargetFile> {
    const kept = file.keepsContent ? await this.#openExisting(file) : undefined;
    const opened = kept ?? (await this.#createFile(file));
    try {
      const { size, dev: device, ino: inode } = await statAsync(opened.fd, { bigint: true });
      // A sparse file gets its size at once, since its last block may be a hole.
      if (size > file.size || (this.#sparse && size < file.size)) await truncateAsync(opened.fd, file.size);
      this.#begun.set(file, { device, inode, isBlank: !kept });
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  /** The file that is there, if it is still what it was when it was examined. */
  async #openExisting(file: WrittenFile): Promise<OpenTargetFile | undefined> {
    const flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK;
    const opened = await this.#target.open(file.location, flags).catch(async (error: unknown) => {
      if (systemCodeOf(error) !== "EACCES") throw error;
      // Read-only, but ours: it was examined and is a regular file.
      await chmod(this.#target.absolute(file.location), 0o600);
      return this.#target.open(file.location, flags);
    });
    const status = await statAsync(opened.fd, { bigint: true });
    if (status.isFile() && status.nlink === 1n) {
      // Between now and the metadata at the end, what is in it is nobody's business but the owner's.
      await chmodAsync(opened.fd, 0o600).catch(() => {});
      return opened;
    }
    await opened.close();
    throw new Error("it was changed by somebody else during the restore");
  }

  async #createFile(file: WrittenFile): Promise<OpenTargetFile> {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    if (!file.isFresh) await this.#target.remove(file.location, this.#removeFolders);
    return this.#target.open(file.location, flags).catch(async (error: unknown) => {
      if (systemCodeOf(error) !== "EEXIST") throw error;
      await this.#target.remove(file.location, this.#removeFolders);
      return this.#target.open(file.location, flags);
    });
  }

  async #makeRoom(): Promise<void> {
    for (const [file, open] of this.#open) {
      if (this.#open.size < OPEN_FILES) return;
      if (open.users > 0) continue;
      this.#open.delete(file);
      await this.#closeForNow(file, open);
    }
  }

  /** Never fails: some file systems (NFS, quotas) tell only here of a write that failed, and that was not the next file's. */
  async #closeForNow(file: WrittenFile, open: OpenFile): Promise<void> {
    const before = this.#closing.get(file);
    const closing = awaitedLater(open.file.close().then(() => before));
    this.#closing.set(file, closing);
    await closing.then(
      () => this.#closing.get(file) === closing && this.#closing.delete(file),
      () => {},
    );
  }
}

/** Writes a part of the data, which itself belongs at `base` of the file. */
async function writeFully(
  fd: number,
  data: Uint8Array,
  start: number,
  end: number,
  base: number,
): Promise<void> {
  for (let at = start; at < end; ) {
    const { bytesWritten } = await writeAsync(fd, data, at, end - at, base + at);
    at += bytesWritten;
  }
}

/** The parts of the data that are not whole blocks of zeros; blocks are those of the file. */
function* dataRuns(data: Uint8Array, offset: number): IterableIterator<[number, number]> {
  let runStart = -1;
  for (let at = 0; at < data.length; ) {
    const blockEnd = Math.min(data.length, at + HOLE_BYTES - ((offset + at) % HOLE_BYTES));
    const block = data.subarray(at, blockEnd);
    const isHole = Buffer.compare(block, ZEROS.subarray(0, block.length)) === 0;
    if (isHole && runStart >= 0) {
      yield [runStart, at];
      runStart = -1;
    } else if (!isHole && runStart < 0) {
      runStart = at;
    }
    at = blockEnd;
  }
  if (runStart >= 0) yield [runStart, data.length];
}
