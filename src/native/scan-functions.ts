/**
 * Functions of native/src/scan.cc and small_files.cc. Paths are bytes. What a record looks like is drawn in scan_record.h;
 * `SCAN_RECORD` has the offsets.
 */
export interface ScanFunctions {
  /**
   * Everything a snapshot keeps of a directory's entries, as records sorted by name. Rejects with the
   * system's error when the directory cannot be listed; what is wrong with one entry stands in its record.
   */
  scanDirectory(path: Uint8Array, followTarget: boolean, withAttributes: boolean): Promise<Buffer>;
  /**
   * The same for many directories in one hop, with attributes; where a tree blob says exactly what there is, no records
   * but what was found in the blob. Each path has a zero byte behind it. The results are in the order of the paths; a
   * directory that cannot be listed has the system's error there.
   */
  scanAgainstTrees(
    paths: Uint8Array,
    trees: readonly Uint8Array[],
  ): Promise<(Buffer | TreeMatch | NodeJS.ErrnoException)[]>;
  /** Counts a directory's entries; rejects when it cannot be listed. What is wrong with one entry leaves that one out. */
  countDirectory(path: Uint8Array): Promise<DirectoryCount>;
  /** The record of each path, in their order; its name is the path. Each path has a zero byte behind it. */
  statEntries(paths: Uint8Array, followTargets: boolean, withAttributes: boolean): Promise<Buffer>;
  /**
   * Reads small files whole, in one hop, each into the next `rooms[i]` bytes of `into`: a byte more than it should be
   * long. Each path has a zero byte behind it. The records are `fstat` of the opened files, how long the content is
   * (`targetLength`) and its SHA-256 (the name), and what went wrong: EFBIG when it does not fit.
   */
  readSmallFiles(paths: Uint8Array, rooms: Uint32Array, into: Uint8Array): Promise<Buffer>;
  /**
   * Where the next data at or behind the offset begins; -1 when none does; the offset when the file system
   * cannot tell.
   */
  seekData(descriptor: number, offset: number): number;
}

/** What there is in a directory, not below it. */
export interface DirectoryCount {
  /** Regular files. */
  readonly files: number;
  /** Of all of them together. */
  readonly bytes: number;
  /** Names of the subdirectories, with a zero byte behind each. */
  readonly directories: Buffer;
}

/** What a tree blob that matches its directory contains. */
export interface TreeMatch {
  /** Regular files. */
  readonly files: number;
  /** Of all files together. */
  readonly bytes: number;
  /** 32-byte IDs of all blobs of all files. */
  readonly contents: Buffer;
  /** One behind the other: kind, number and length (32 bits each, little endian), and so many bytes. */
  readonly details: Buffer;
}

/** Kinds of details, as native/src/tree_match.h explains them. */
export const MATCH_DETAIL = { directory: 0, user: 1, group: 2, unquotedName: 3 } as const;

/** Byte offsets in a record; 64-bit fields are little endian. */
export const SCAN_RECORD = {
  length: 0,
  nameLength: 4,
  targetLength: 8,
  attributesLength: 12,
  statErrno: 16,
  attributesErrno: 20,
  targetErrno: 24,
  mode: 28,
  uid: 32,
  gid: 36,
  dev: 40,
  ino: 48,
  links: 56,
  rdev: 64,
  size: 72,
  blocks: 80,
  atimeSeconds: 88,
  mtimeSeconds: 96,
  ctimeSeconds: 104,
  atimeNanoseconds: 112,
  mtimeNanoseconds: 116,
  ctimeNanoseconds: 120,
  contentErrno: 124,
  name: 128,
} as const;
