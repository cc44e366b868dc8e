/**
 * What a read-only filesystem must answer so that a driver can show it. The drivers (our own transport and
 * fuse-native) know this interface and no snapshot; the filesystem knows no `/dev/fuse`.
 *
 * Two numbers look alike and are not:
 *
 * - a **NodeId** is what driver and filesystem call an object between them, while the kernel remembers it. It is
 *   handed out by `lookup` and listings, counted, and given back by `forget`. It means nothing after an unmount.
 * - the **ino** of the attributes is st_ino, what programs see and compare. It is the same from mount to mount, and the
 *   same for two names exactly if they are hard links to one object.
 *
 * Every answer may come at once or as a promise: an answer from memory must not cost a turn of the event loop.
 */

import { YoreError } from "../errors.js";

declare const nodeIdBrand: unique symbol;
export type NodeId = number & { readonly [nodeIdBrand]: true };

/** The root; never forgotten. */
export const ROOT_NODE = 1 as NodeId;

export type Answer<T> = T | Promise<T>;

/** Answers that can never change carry this for their time to live. */
export const FOREVER = Number.POSITIVE_INFINITY;

export interface Attributes {
  readonly ino: bigint;
  /** POSIX st_mode: S_IFMT bits and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Linux device number in the kernel's 32-bit encoding, devices only. */
  readonly rdev: number;
  /** Bytes. */
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  readonly blockSize: number;
  readonly atime: Moment;
  readonly mtime: Moment;
  readonly ctime: Moment;
}

export interface Moment {
  /** Since 1970, negative before. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A name that exists. Whoever receives one owes one `forget`. */
export interface Entry {
  readonly nodeId: NodeId;
  readonly attributes: Attributes;
  /** How long the kernel may believe the name and the attributes, milliseconds or FOREVER. */
  readonly ttlMs: number;
}

/** A name that does not exist, and how long the kernel may believe that. */
export interface Absent {
  readonly nodeId: 0;
  readonly ttlMs: number;
}

/** Tells the two outcomes of a look-up apart. */
export function isEntry(found: Entry | Absent): found is Entry {
  return found.nodeId !== 0;
}

/** Where records of a directory are written to. */
export interface RecordTarget {
  readonly bytes: Buffer;
  /** Where the next one begins; whoever writes moves it on. */
  at: number;
  /** Where they have to end. */
  readonly limit: number;
  /** With entries (READDIRPLUS) or names only (READDIR). */
  readonly plus: boolean;
  /** High word of the cookies. */
  readonly generation: number;
  /** Whoever writes adds what it hands out, and directories here as well. */
  readonly handedOut: NodeId[];
  readonly directories: NodeId[];
}

/** The entries of a directory as they are at one moment, in a fixed order; "." and ".." are the driver's business. */
export interface DirectoryListing {
  readonly length: number;
  /**
   * True for a directory whose entries can be different later (a list of snapshots). The kernel keeps listings too: it
   * drops its own when the directory's mtime has changed, or when `KernelNotifier.invalidateNode` says so.
   */
  readonly changeable?: boolean;
  name(position: number): Buffer;
  /** st_ino of the entry; hands nothing out. */
  ino(position: number): bigint;
  /** S_IFMT bits of the entry's mode. */
  typeBits(position: number): number;
  /**
   * The entry itself; hands out a node that must be forgotten. `undefined` when it is not known yet what there is to say:
   * the kernel gets the name alone, and asks for more when somebody wants it.
   */
  entry(position: number): Entry | undefined;
  /**
   * For listings that write many records faster than a driver can, from a position on, as far as they fit. @returns how many;
   * the one behind them is written by the driver, or does not fit.
   */
  writeRecords?(position: number, target: RecordTarget): number;
}

export interface FilesystemStatistics {
  readonly blockSize: number;
  /** In units of `blockSize`. */
  readonly blocks: number;
  readonly files: number;
  readonly maxNameBytes: number;
}

/**
 * Contents of files. Each begins at a multiple of 4 KiB and ends at one, or at the end of its file; none is longer than
 * MAX_STORED_BYTES.
 */
export interface FileContents {
  readonly nodes: readonly NodeId[];
  /** Where each begins in its file, bytes. */
  readonly offsets: readonly number[];
  readonly contents: readonly Uint8Array[];
}

/** The longest of one piece of `FileContents`. */
export const MAX_STORED_BYTES = 2 * 1024 * 1024;

/** How a filesystem tells the kernel something without being asked. */
export interface KernelNotifier {
  /** A changeable answer has changed. */
  invalidateEntry(parent: NodeId, name: Buffer): void;
  invalidateNode(node: NodeId): void;
  /**
   * The kernel keeps what will be read soon: whoever reads it gets it from there, and is not heard of. It is copied.
   *
   * @returns how many, from the first on, the kernel is going to get: not more than 4 MiB wait for it
   */
  store?(files: FileContents): number;
  /** These have no extended attributes, and never will: who asks for some is told so without asking the filesystem. */
  withoutAttributes?(nodes: readonly NodeId[]): void;
}

/** A failure that the filesystem has told its user of, better than a driver could: it is answered, but not logged again. */
export class ToldError extends YoreError {}

export interface Filesystem {
  /** Called once the kernel listens. */
  start(notifier: KernelNotifier): void;
  /** "." is the directory itself and ".." its parent, counted like any other entry: an NFS server asks for them. */
  lookup(parent: NodeId, name: Buffer): Answer<Entry | Absent>;
  /** Attributes and how long they may be believed. */
  getattr(node: NodeId): Answer<{ readonly attributes: Attributes; readonly ttlMs: number }>;
  /** One listing serves all the reads of a directory stream; drivers may ask for it again at any offset. */
  list(node: NodeId): Answer<DirectoryListing>;
  /** A directory is going to be listed: contents that will be read then, as far as they are there; 3 MiB at most. */
  contentsAhead?(node: NodeId): FileContents | undefined;
  /** A directory was listed to its end: the kernel knows of what is in it. */
  listed?(node: NodeId): void;
  /** The parent of a directory, for "..". */
  parent(node: NodeId): NodeId;
  /** st_ino of an object, without the rest of its attributes. */
  ino(node: NodeId): bigint;
  readlink(node: NodeId): Answer<Buffer>;
  /**
   * Bytes of a file as pieces in order; together as many as were asked for, fewer only at the end of the file.
   * The pieces must not be changed by either side, and are good until the caller gives up control, or those who wait for
   * the promise have had their turn: the memory is used again. `signal` makes the signal when it is first called: most reads are
   * answered from memory, and a signal costs more than they do.
   */
  read(node: NodeId, offset: number, size: number, signal: () => AbortSignal): Answer<readonly Uint8Array[]>;
  /** SEEK_DATA or SEEK_HOLE; `undefined` when there is nothing from the offset on (ENXIO). */
  seek(node: NodeId, offset: number, what: "data" | "hole"): Answer<number | undefined>;
  /** `undefined` when the object has no such attribute. */
  getxattr(node: NodeId, name: string): Answer<Uint8Array | undefined>;
  listxattr(node: NodeId): Answer<readonly string[]>;
  statfs(): Answer<FilesystemStatistics>;
  /** The kernel gives back `count` of the entries that it was handed for this node. */
  forget(node: NodeId, count: number): void;
  close(): Promise<void>;
}
