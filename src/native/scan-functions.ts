/** Functions of native/src/scan.cc. Paths are bytes. What a record looks like is drawn there; `SCAN_RECORD` has the offsets. */
export interface ScanFunctions {
  /**
   * Everything a snapshot keeps of a directory's entries, as records sorted by name. Rejects with the system's error when
   * the directory cannot be listed; what is wrong with one entry stands in its record.
   */
  scanDirectory(path: Uint8Array, followTarget: boolean, withAttributes: boolean): Promise<Buffer>;
  /** The record of one path, attributes included; its name is the path. */
  statEntry(path: Uint8Array, followTarget: boolean): Promise<Buffer>;
  /**
   * Whole contents of small files, in one hop: first the records (`fstat` of the opened files, and what went wrong with each:
   * EFBIG for a file that is larger than `maxBytes`), then a content for each, empty when there is none.
   */
  readSmallFiles(paths: readonly Uint8Array[], maxBytes: number): Promise<Buffer[]>;
  /** Where the next data at or behind the offset begins; -1 when none does; the offset when the file system cannot tell. */
  seekData(descriptor: number, offset: number): number;
  /** "" when the system knows none; blocks for as long as the system's user database takes. */
  userName(uid: number): string;
  groupName(gid: number): string;
}

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
