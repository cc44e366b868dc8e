/**
 * A backend keeps named files somewhere. It knows names, bytes and nothing of what they mean: no keys, no
 * JSON. Wrappers (retry, limits, caches) take a backend and are one.
 */

/** The six kinds of file a repository consists of; the folder of packs is called `data`. */
export type FileType = "config" | "key" | "lock" | "snapshot" | "index" | "pack";

export const FILE_TYPES: readonly FileType[] = ["config", "key", "lock", "snapshot", "index", "pack"];

export interface Handle {
  readonly type: FileType;
  /** 64 lower-case hex digits; "" for the config. */
  readonly name: string;
  /** Of a pack that is saved: trees are in it, which caches keep. */
  readonly holdsTrees?: boolean;
}

export interface FileInfo {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** Bytes that a range may grow by at both ends, and its memory may lie awry, where a disk reads whole blocks. */
export const ROOM_FOR_BLOCKS = 3 * 4096;

export interface LoadRange {
  /** Bytes from the start, 0 when left out. */
  readonly offset?: number;
  /** Bytes; to the end when left out. */
  readonly length?: number;
  /** A file that ends before the range does is read to its end, and one that ends before it begins gives nothing. */
  readonly upTo?: boolean;
  /**
   * Memory that may be used for what is read, at least `length` long, so that none has to be made. What `load` returns is
   * a view of it then, or something else. A load that fails may write to it later still. With `ROOM_FOR_BLOCKS` more, a
   * disk can write to it without the kernel in between.
   */
  readonly into?: Uint8Array;
  /** It will not be read again soon: no cache need keep it on account of this. */
  readonly once?: boolean;
  /** The reader keeps what was in it: the kernel's cache need not keep it too. */
  readonly isKept?: boolean;
  readonly signal?: AbortSignal;
}

/** Where a file of this machine belongs. */
export interface FilePlace {
  /** It is there. */
  readonly folder: string;
  readonly path: string;
  /** Permission bits until it is whole, and from then on. */
  readonly modeWhileWritten: number;
  readonly mode: number;
}

export interface Backend {
  /** For people, without any password. */
  readonly location: string;
  /** How many operations are worth having under way at a time. */
  readonly connections: number;
  /**
   * True when a file that was saved is in each listing that begins later, whoever lists. Locks need not settle then.
   * False when left out.
   */
  readonly listsAtOnce?: boolean;

  /** Makes the empty layout, which lasts when it resolves. Existing parts are left as they are. */
  create(signal?: AbortSignal): Promise<void>;
  /**
   * Keeps a file, given as pieces in order. When it resolves the file is durable and whole; on any failure
   * the name shows nothing. A file that exists is replaced as a whole.
   * @throws {YoreError} `no-space`, or `backend` for everything else
   */
  save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void>;
  /**
   * Where a file belongs, for whoever writes it himself. He gives it its name when it is whole and on the disk, by linking
   * or renaming, and syncs the folder. Absent where files do not lie in folders of this machine, or are to be counted.
   */
  place?(handle: Handle): Promise<FilePlace>;
  /**
   * Reads a whole file, or exactly the range asked for.
   * @throws {NotFoundError} if there is no such file
   * @throws {DamagedError} if the file ends before the range does, unless it is read `upTo` there
   */
  load(handle: Handle, range?: LoadRange): Promise<Uint8Array>;
  /** @throws {NotFoundError} if there is no such file */
  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo>;
  /** All files of a type, in no order. Names that are no IDs are left out. A missing folder lists nothing. */
  list(type: FileType, signal?: AbortSignal): AsyncIterable<FileInfo>;
  /**
   * What is removed may come back with a loss of power until something is saved, something of another type is removed, or
   * the backend is closed; a key never does. @throws {NotFoundError} if there is no such file, where that can be told
   * without asking twice
   */
  remove(handle: Handle, signal?: AbortSignal): Promise<void>;
  /**
   * Takes away what writers that were killed have left beside the files, where there can be such a thing, and only what
   * nobody has written to for so long.
   */
  removeLeftovers?(olderThanMs: number): Promise<{ readonly files: number; readonly bytes: number }>;
  /** Says that these bytes of a file came damaged: what is kept of them nearer than the place itself is not used again. */
  distrust?(handle: Handle, offset: number, length: number): Promise<void>;
  close(): Promise<void>;
}

/** "pack 1234abcd", as messages name a file; the whole name is in the hint of an error where it matters. */
export function formatHandle(handle: Handle): string {
  return handle.type === "config" ? "config" : `${handle.type} ${handle.name.slice(0, 8)}`;
}
