import type { CompactTree } from "../cache/compact-tree.js";
import type { NodeId } from "../fuse/filesystem.js";

/** A file, as far as reading it goes: the tree that it stands in, and where. */
export interface OpenFile {
  readonly node: NodeId;
  readonly directory: NodeId;
  readonly tree: CompactTree;
  readonly position: number;
}
