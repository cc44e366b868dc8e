import { systemCodeOf } from "../errors.js";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../format/file-mode.js";
import type { ExtendedAttribute } from "../format/node.js";

/** A moment as the file system keeps it. */
export interface FileTime {
  /** Since 1970, negative before. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What `lstat` says, without a loss. */
export interface FileStat {
  /** st_mode, type bits included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: bigint;
  readonly ino: bigint;
  readonly links: number;
  readonly rdev: bigint;
  /** Bytes. */
  readonly size: number;
  /** Units of 512 bytes that the file really takes. */
  readonly blocks: number;
  readonly atime: FileTime;
  readonly mtime: FileTime;
  readonly ctime: FileTime;
}

/** An object of the file system with all that a snapshot keeps of it but its content. */
export interface FileRecord {
  /** The raw bytes of the name as a Latin-1 string (`raw-path.ts`). */
  readonly name: string;
  readonly stat: FileStat;
  /** Raw bytes, symlinks only. */
  readonly linkTarget: Buffer | undefined;
  /** In the order of the file system. */
  readonly attributes: readonly ExtendedAttribute[];
  /** What of the above could not be read; the rest is good. */
  readonly problem: Error | undefined;
}

/** An entry that is there by its name and gave nothing but an error. */
export interface UnreadableEntry {
  readonly name: string;
  readonly error: Error;
}

export type ScannedEntry = FileRecord | UnreadableEntry;

export function isUnreadable(entry: ScannedEntry): entry is UnreadableEntry {
  return "error" in entry;
}

export function isRegularFile(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFREG;
}

export function isDirectory(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

export function isSymlink(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFLNK;
}

export function isSocket(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFSOCK;
}

/** Removed since its directory was listed: nothing is missing from a backup that lacks it. */
export function isGone(error: unknown): boolean {
  return systemCodeOf(error) === "ENOENT";
}
