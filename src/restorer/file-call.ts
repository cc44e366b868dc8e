import type { Timestamp } from "../format/timestamp.js";

/** Owner, times and mode of a file without extended attributes. */
export interface FileStatus {
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
}

/**
 * One file system call of a restore, as data: calls are gathered and carried out many at a time, off the main thread
 * where there is the addon (`native-file-calls.ts`), by node:fs elsewhere (`portable-file-calls.ts`). Each works on a
 * name inside the directory that the `directory` call before it has named.
 */
export type FileCall =
  /** What follows happens in this folder, given from the root; "" is the root itself. No link is followed to it. */
  | { readonly kind: "directory"; readonly name: Buffer }
  /** A new file with this content; half a file is never left. */
  | {
      readonly kind: "write";
      readonly name: Buffer;
      readonly data: Uint8Array;
      /** What it gets besides; all of it must be set again if the failure of the call says `isWritten`. */
      readonly status?: FileStatus | undefined;
    }
  /** A new folder, mode 0700. A folder that is there is left as it is, anything else gives way. */
  | { readonly kind: "folder"; readonly name: Buffer }
  | { readonly kind: "symlink"; readonly name: Buffer; readonly target: Uint8Array }
  /** A device or a fifo: `st_mode` and `st_rdev`. */
  | { readonly kind: "node"; readonly name: Buffer; readonly mode: number; readonly device: bigint }
  /** A hard link to a path given from the root. */
  | { readonly kind: "link"; readonly name: Buffer; readonly source: Uint8Array }
  | { readonly kind: "owner"; readonly name: Buffer; readonly uid: number; readonly gid: number }
  | {
      readonly kind: "set-xattr";
      readonly name: Buffer;
      readonly attribute: string;
      readonly value: Uint8Array;
    }
  /** Removes all extended attributes but these. */
  | { readonly kind: "keep-xattrs"; readonly name: Buffer; readonly attributes: readonly string[] }
  | { readonly kind: "times"; readonly name: Buffer; readonly mtime: Timestamp; readonly atime: Timestamp }
  /** Permission bits with setuid, setgid and sticky. */
  | { readonly kind: "mode"; readonly name: Buffer; readonly mode: number }
  /** Removes the thing and all below it; absence is success. */
  | { readonly kind: "remove"; readonly name: Buffer };

/** A call whose content is a part of something sealed: what `Engine.unsealToFiles` can do besides. */
export type PartCall =
  /** A new file, as of `write`. */
  | {
      readonly kind: "write-part";
      readonly name: Buffer;
      readonly part: number;
      readonly isSparse: boolean;
      readonly status?: FileStatus | undefined;
    }
  /** A stretch of an open file. */
  | {
      readonly kind: "piece";
      readonly fd: number;
      readonly offset: number;
      readonly part: number;
      /** Only where the file has nothing but zeros. */
      readonly isSparse: boolean;
    };

export interface FileCallFailure {
  /** Which of the calls. */
  readonly position: number;
  /** "ENOSPC" and the like. */
  readonly code: string;
  /** The system's words for it. */
  readonly reason: string;
  /** Of `write` with a status: the content is there, only the status is not, or not wholly. */
  readonly isWritten?: boolean;
}

/**
 * Carries out calls in order below a root. `write`, `symlink`, `node` and `link` first remove what bears the name unless
 * it is a folder that is not empty. A failure does not stop what follows, except that calls with the name of a thing
 * that could not be made, and calls in a folder that could not be entered, are left out.
 */
export interface FileCallRunner {
  run(calls: readonly FileCall[]): Promise<FileCallFailure[]>;
}
