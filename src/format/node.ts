import type { Id, IdList } from "../bytes/id.js";
import { type Timestamp, ZERO_TIME } from "./timestamp.js";

/** What a node is. `irregular` is what restic stores for things it could not tell. */
export type NodeType = "file" | "dir" | "symlink" | "dev" | "chardev" | "fifo" | "socket" | "irregular";

export interface ExtendedAttribute {
  /** Bytes that are no UTF-8 stand as `textKeepingBytes` has them; in a tree that was read they are U+FFFD. */
  readonly name: string;
  /** `null` when the writer stored none. */
  readonly value: Uint8Array | null;
}

/**
 * An entry of a tree: one file system object and all that is known of it. Field by field as in a restic tree blob;
 * what a writer left out is 0, empty or undefined here, as restic itself reads it.
 */
export interface TreeNode {
  /** The raw bytes of the name; not necessarily UTF-8. */
  readonly name: Buffer;
  readonly type: NodeType;
  /** Go's FileMode number: permission bits and type bits above bit 18. The kind of a node is `type`, never these bits. */
  readonly mode: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly ctime: Timestamp;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  /** st_ino; unsigned 64 bit. */
  readonly inode: bigint;
  /** st_dev; unsigned 64 bit. */
  readonly deviceId: bigint;
  /** Bytes, files only; at most 2^53 - 1, whatever the tree says. */
  readonly size: number;
  /** st_nlink, bounded likewise; 0 when not stored. */
  readonly links: number;
  /** Raw bytes of the target, symlinks only. */
  readonly linkTarget: Buffer | undefined;
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** Attributes of other systems (Windows), as parsed JSON. */
  readonly genericAttributes: Readonly<Record<string, unknown>> | undefined;
  /** st_rdev, devices only; unsigned 64 bit. */
  readonly device: bigint;
  /** Blob IDs of a file's content in order; `null` for everything that is no file. */
  readonly content: IdList | null;
  /** Tree ID of a directory. */
  readonly subtree: Id | undefined;
  readonly error: string;
}

/** A node in the making. */
export type NodeDraft = { -readonly [Field in keyof TreeNode]: TreeNode[Field] };

/** A node of which nothing is known, for whoever fills in what is. */
export function emptyNode(): NodeDraft {
  return {
    name: NO_BYTES,
    type: "irregular",
    mode: 0,
    mtime: ZERO_TIME,
    atime: ZERO_TIME,
    ctime: ZERO_TIME,
    uid: 0,
    gid: 0,
    user: "",
    group: "",
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 0,
    linkTarget: undefined,
    extendedAttributes: NO_ATTRIBUTES,
    genericAttributes: undefined,
    device: 0n,
    content: null,
    subtree: undefined,
    error: "",
  };
}

const NO_BYTES = Buffer.alloc(0);
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = [];
