import type { TreeNode } from "../format/node.js";
import { compareTimestamps } from "../format/timestamp.js";

export const SORT_MODES = ["name", "size", "time", "mtime", "atime", "ctime", "extension"] as const;
export type SortMode = (typeof SORT_MODES)[number];

export interface OrderedNode {
  readonly path: Buffer;
  readonly node: TreeNode;
}

/** How restic's `ls --sort` orders: by what was asked for, and by the bytes of the path where that is equal. */
export function nodeOrder(mode: SortMode): (a: OrderedNode, b: OrderedNode) => number {
  const compare = COMPARE[mode];
  return (a, b) => compare(a, b) || Buffer.compare(a.path, b.path);
}

const COMPARE: Readonly<Record<SortMode, (a: OrderedNode, b: OrderedNode) => number>> = {
  name: () => 0,
  size: (a, b) => a.node.size - b.node.size,
  time: (a, b) => compareTimestamps(a.node.mtime, b.node.mtime),
  mtime: (a, b) => compareTimestamps(a.node.mtime, b.node.mtime),
  atime: (a, b) => compareTimestamps(a.node.atime, b.node.atime),
  ctime: (a, b) => compareTimestamps(a.node.ctime, b.node.ctime),
  extension: (a, b) => Buffer.compare(extension(a.path), extension(b.path)),
};

const DOT = 0x2e;
const SLASH = 0x2f;

/** From the last dot of the name on, the dot included; empty when there is none. */
function extension(path: Buffer): Buffer {
  const dot = path.lastIndexOf(DOT);
  return dot > path.lastIndexOf(SLASH) ? path.subarray(dot) : Buffer.alloc(0);
}
