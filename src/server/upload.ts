import { createHash, type Hash, randomBytes } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFile, syncFolder } from "../backend/sync-folder.js";
import { systemCodeOf, YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import type { SocketHandle } from "../native/body-socket-functions.js";
import { UPLOAD_OUTCOME, type UploadFunctions, type UploadHandle } from "../native/upload-functions.js";
import { nameUnlessTaken } from "./name-unless-taken.js";

/**
 * A file that arrives bit by bit. It has its name only when it is whole, its hash is right and it is on the disk;
 * whatever dies before, the name shows nothing. One call at a time.
 */
export interface Upload {
  /** The pieces must be left alone until it resolves. */
  append(pieces: readonly Uint8Array[]): Promise<void>;
  /**
   * Ends the upload, whatever the outcome.
   *
   * @param id SHA-256 of the content, 32 bytes; any content when left out
   */
  commit(id: Uint8Array | undefined): Promise<UploadOutcome>;
  /** Ends the upload; nothing remains. May be called after `commit`. */
  discard(): Promise<void>;
}

/** An upload that can take bytes from a connection without JavaScript's help. */
export interface DirectUpload extends Upload {
  /**
   * Appends what has arrived, without waiting for more.
   *
   * @param limit bytes
   * @returns bytes; 0 when there is nothing now, -1 when there will be no more
   */
  receive(socket: SocketHandle, limit: number): Promise<number>;
}

export function isDirect(upload: Upload): upload is DirectUpload {
  return upload instanceof NativeUpload;
}

/** An existing file is never replaced. */
export type UploadOutcome = "saved" | "exists" | "wrong-hash";

/**
 * Begins an upload to a path whose folder exists.
 *
 * @param mode permission bits of the file
 * @throws what node:fs throws; the code tells
 */
export async function beginUpload(path: string, mode: number): Promise<Upload> {
  const addon = loadAddon();
  return addon ? NativeUpload.begin(addon, path, mode) : PortableUpload.begin(path, mode);
}

/** Files up to so many bytes are saved in one piece: a hundred uploads at once hold less than a MiB of them. */
export const SMALL_FILE_BYTES = 8 * 1024;

/** At most `SMALL_FILE_BYTES`, which touch the disk when they are whole: one hop instead of four. */
export class SmallUpload implements Upload {
  readonly #path: string;
  readonly #mode: number;
  readonly #makeFolders: () => Promise<boolean>;
  readonly #pieces: Uint8Array[] = [];

  /** @param makeFolders called when the folder of the path is missing; false when it cannot be made */
  constructor(path: string, mode: number, makeFolders: () => Promise<boolean> = async () => false) {
    this.#path = path;
    this.#mode = mode;
    this.#makeFolders = makeFolders;
  }

  async append(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) this.#pieces.push(Buffer.from(piece));
  }

  async commit(id: Uint8Array | undefined): Promise<UploadOutcome> {
    const content = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    try {
      return await this.#save(content, id);
    } catch (error) {
      if (systemCodeOf(error) !== "ENOENT" || !(await this.#makeFolders())) throw error;
    }
    return this.#save(content, id);
  }

  async #save(content: Uint8Array, id: Uint8Array | undefined): Promise<UploadOutcome> {
    const addon = loadAddon();
    if (addon) return outcomeOf(await addon.uploadWhole(Buffer.from(this.#path), this.#mode, content, id));
    const upload = await PortableUpload.begin(this.#path, this.#mode);
    try {
      await upload.append([content]);
      return await upload.commit(id);
    } finally {
      await upload.discard();
    }
  }

  async discard(): Promise<void> {}
}

/** Hashed and written in one hop off the main thread; a file without a name until it is synced where Linux can. */
export class NativeUpload implements DirectUpload {
  readonly #addon: UploadFunctions;
  readonly #handle: UploadHandle;
  readonly #path: string;
  #ended = false;

  private constructor(addon: UploadFunctions, handle: UploadHandle, path: string) {
    this.#addon = addon;
    this.#handle = handle;
    this.#path = path;
  }

  static async begin(addon: UploadFunctions, path: string, mode: number): Promise<NativeUpload> {
    const handle = await addon.uploadOpen(Buffer.from(dirname(path)), mode);
    return new NativeUpload(addon, handle, path);
  }

  append(pieces: readonly Uint8Array[]): Promise<void> {
    return this.#addon.uploadAppend(this.#handle, pieces);
  }

  receive(socket: SocketHandle, limit: number): Promise<number> {
    return this.#addon.uploadReceive(this.#handle, socket, limit);
  }

  async commit(id: Uint8Array | undefined): Promise<UploadOutcome> {
    this.#ended = true;
    return outcomeOf(await this.#addon.uploadCommit(this.#handle, Buffer.from(this.#path), id));
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#addon.uploadDiscard(this.#handle);
  }
}

function outcomeOf(code: number): UploadOutcome {
  if (code === UPLOAD_OUTCOME.saved) return "saved";
  return code === UPLOAD_OUTCOME.exists ? "exists" : "wrong-hash";
}

/** Beside its place until the end, under a name that no listing shows and that `sweepTemporaries` removes. */
export class PortableUpload implements Upload {
  readonly #file: FileHandle;
  readonly #temporary: string;
  readonly #path: string;
  readonly #hash: Hash = createHash("sha256");
  /** Bytes that were to be written. */
  #length = 0;
  #ended = false;

  private constructor(file: FileHandle, temporary: string, path: string) {
    this.#file = file;
    this.#temporary = temporary;
    this.#path = path;
  }

  static async begin(path: string, mode: number): Promise<PortableUpload> {
    const temporary = join(dirname(path), `upload-tmp-${randomBytes(8).toString("hex")}`);
    const file = await open(temporary, "wx", mode);
    await file.chmod(mode).catch(() => {}); // The umask is for people; some file systems keep no modes.
    return new PortableUpload(file, temporary, path);
  }

  async append(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      this.#hash.update(piece);
      this.#length += piece.length;
      for (let at = 0; at < piece.length; )
        at += (await this.#file.write(piece, at, piece.length - at)).bytesWritten;
    }
  }

  async commit(id: Uint8Array | undefined): Promise<UploadOutcome> {
    try {
      if (id && !this.#hash.digest().equals(id)) return "wrong-hash";
      await this.#checkLength();
      await syncFile(this.#file);
      if (!(await nameUnlessTaken(this.#temporary, this.#path))) return "exists";
      await syncFolder(dirname(this.#path)).catch(async (error: unknown) => {
        // The client is told that it failed, and comes again.
        await unlink(this.#path).catch(() => {});
        throw error;
      });
      return "saved";
    } finally {
      await this.discard();
    }
  }

  /** After a write that failed; and some network file systems take a write and lose it without a word. */
  async #checkLength(): Promise<void> {
    const { size } = await this.#file.stat();
    if (size === this.#length) return;
    const reason = `wrote ${this.#length} bytes, but there are ${size}`;
    throw new YoreError("backend", `Cannot save "${this.#path}": ${reason}`);
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file.close().catch(() => {});
    await unlink(this.#temporary).catch(() => {});
  }
}

/** What an upload is called until it has its name, where it needs one. */
export const TEMPORARY_NAME = /^upload-tmp-[0-9a-f]{16}$/;
