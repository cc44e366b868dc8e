import type { Id, IdList } from "../bytes/id.js";
import type { FileStat, ScannedEntry } from "./file-record.js";
import type { RawPath } from "./raw-path.js";

export interface ScanOptions {
  /** Follow the path itself when it is a symlink; never what is found in it. Default false. */
  readonly follow?: boolean;
  /** Read extended attributes too. Default true. */
  readonly attributes?: boolean;
}

/** A small file as it was read: what `fstat` said of the opened file, and every byte of it. */
export interface SmallFile {
  readonly stat: FileStat;
  /**
   * A part of the buffer that was handed in; `undefined` when there is no room, or it is no regular file any
   * more.
   */
  readonly content: Buffer | undefined;
  /** SHA-256 of the content; `undefined` when there is none, or not a byte of it. */
  readonly id: Id | undefined;
}

export interface SmallFileRequest {
  readonly path: RawPath;
  /** Bytes it has as far as is known. */
  readonly size: number;
}

/** What there is in a directory, not below it. */
export interface CountedDirectory {
  /** Regular files. */
  readonly files: number;
  /** Of all of them together. */
  readonly bytes: number;
  /** Names, raw bytes as Latin-1 strings. */
  readonly directories: readonly string[];
}

/**
 * What a tree blob says of a directory that is exactly as the blob has it: encoding its entries gives the same
 * bytes, with the content of files and the trees of subdirectories taken from the blob.
 */
export interface MatchedDirectory {
  /** Regular files. */
  readonly files: number;
  /** Of all files together. */
  readonly bytes: number;
  /** The blobs of all files. */
  readonly contents: IdList;
  /** Sorted by name, raw bytes as a Latin-1 string. */
  readonly directories: readonly { readonly name: string; readonly tree: Id }[];
}

/**
 * Reads a file system for the archiver. Two implementations: `native` does a directory, or many small files,
 * in one hop of the thread pool; `portable` uses `node:fs`, and cannot read extended attributes nor see
 * holes.
 */
export interface Scanner {
  readonly name: "native" | "portable";
  readonly readsAttributes: boolean;
  /**
   * All entries sorted by the bytes of their names. @throws the system's error when the directory cannot be
   * listed
   */
  scanDirectory(path: RawPath, options?: ScanOptions): Promise<ScannedEntry[]>;
  /**
   * Scans a directory with attributes and compares it with a tree blob at the same time, which costs a tenth of
   * decoding both. It may miss a match, but never claims one. Absent where the scanner cannot do it.
   */
  scanAgainst?(path: RawPath, tree: Uint8Array): Promise<ScannedEntry[] | MatchedDirectory>;
  /**
   * Counts what there is in a directory, which costs a tenth of describing it; entries that cannot be looked at are left
   * out. Absent where the scanner cannot do it. @throws the system's error when the directory cannot be listed
   */
  countDirectory?(path: RawPath): Promise<CountedDirectory>;
  /** One object; its name is the path. */
  statPath(path: RawPath, options?: ScanOptions): Promise<ScannedEntry>;
  /** The same of each, in their order, in one hop: no more than a few hundred should be asked for at a time. */
  statPaths(paths: readonly RawPath[], options?: ScanOptions): Promise<ScannedEntry[]>;
  /**
   * Reads files whole, one behind the other into a buffer that has room for each and a byte more; one failure
   * does not touch the others. Links are not followed.
   */
  readSmallFiles(files: readonly SmallFileRequest[], into: Buffer): Promise<(SmallFile | { error: Error })[]>;
  /**
   * Where the next data at or behind an offset begins, `undefined` when there is none; the offset when nobody
   * can tell.
   */
  seekData(descriptor: number, offset: number): number | undefined;
  /** What can be asked of the kernel's cache about a range of an open file; absent where nothing can. */
  readonly pageCache?: {
    isCached(descriptor: number, offset: number, length: number): boolean;
    forgetCached(descriptor: number, offset: number, length: number): void;
  };
  /** "" when the system knows none. */
  userName(uid: number): string;
  groupName(gid: number): string;
}
