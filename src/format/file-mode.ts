/**
 * Two ways to write down what kind of thing a file is and who may do what: Go's `fs.FileMode`, which trees store, and
 * `st_mode` of POSIX. They agree on the nine permission bits and on nothing else.
 */

import type { NodeType, TreeNode } from "./node.js";

export const GO_MODE_DIR = 0x8000_0000;
export const GO_MODE_SYMLINK = 1 << 27;
export const GO_MODE_DEVICE = 1 << 26;
export const GO_MODE_NAMED_PIPE = 1 << 25;
export const GO_MODE_SOCKET = 1 << 24;
export const GO_MODE_SETUID = 1 << 23;
export const GO_MODE_SETGID = 1 << 22;
export const GO_MODE_CHAR_DEVICE = 1 << 21;
export const GO_MODE_STICKY = 1 << 20;
export const GO_MODE_IRREGULAR = 1 << 19;

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
const PERMISSIONS = 0o777;

interface Kind {
  readonly type: NodeType;
  readonly posix: number;
  readonly go: number;
}

const KINDS: readonly Kind[] = [
  { type: "file", posix: S_IFREG, go: 0 },
  { type: "dir", posix: S_IFDIR, go: GO_MODE_DIR },
  { type: "symlink", posix: S_IFLNK, go: GO_MODE_SYMLINK },
  { type: "dev", posix: S_IFBLK, go: GO_MODE_DEVICE },
  { type: "chardev", posix: S_IFCHR, go: GO_MODE_DEVICE | GO_MODE_CHAR_DEVICE },
  { type: "fifo", posix: S_IFIFO, go: GO_MODE_NAMED_PIPE },
  { type: "socket", posix: S_IFSOCK, go: GO_MODE_SOCKET },
];
const POSIX_OF_TYPE = new Map(KINDS.map((kind) => [kind.type, kind.posix]));
const KIND_OF_POSIX = new Map(KINDS.map((kind) => [kind.posix, kind]));

/**
 * `st_mode` of a node. The kind comes from `type`: rustic writes directories without Go's type bits. An `irregular`
 * node is shown as a regular file.
 */
export function posixModeFromNode(node: Pick<TreeNode, "type" | "mode">): number {
  const { mode } = node;
  return (
    (POSIX_OF_TYPE.get(node.type) ?? S_IFREG) |
    (mode & PERMISSIONS) |
    (mode & GO_MODE_SETUID ? S_ISUID : 0) |
    (mode & GO_MODE_SETGID ? S_ISGID : 0) |
    (mode & GO_MODE_STICKY ? S_ISVTX : 0)
  );
}

/** Go's mode of an `st_mode`, as restic stores it; a kind that Go does not know gets the `irregular` bit. */
export function goModeFromPosix(posixMode: number): number {
  const kind = KIND_OF_POSIX.get(posixMode & S_IFMT);
  const mode =
    (posixMode & PERMISSIONS) |
    (posixMode & S_ISUID ? GO_MODE_SETUID : 0) |
    (posixMode & S_ISGID ? GO_MODE_SETGID : 0) |
    (posixMode & S_ISVTX ? GO_MODE_STICKY : 0) |
    (kind === undefined ? GO_MODE_IRREGULAR : kind.go);
  return mode >>> 0;
}

/** The type of node that an `st_mode` makes. */
export function nodeTypeFromPosix(posixMode: number): NodeType {
  return KIND_OF_POSIX.get(posixMode & S_IFMT)?.type ?? "irregular";
}
