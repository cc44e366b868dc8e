/** Trees. Implemented in `native/src/compact_tree.cc`. */
export interface TreeFunctions {
  /**
   * The memory of a CompactTree from the JSON of a tree blob; `undefined` for every tree that is not plain, be it unusual
   * or damaged. Works on the calling thread, 2 ns a byte.
   */
  compactTree(json: Uint8Array): ArrayBuffer | undefined;
  /**
   * The IDs in the JSON of a tree blob: two u32, how many trees and how many blobs, and then the IDs of 32 bytes. `undefined`
   * for every tree that is not plain, and when a directory names no tree, or a file does not say what it consists of.
   * Works on the calling thread.
   */
  treeReferences(json: Uint8Array): ArrayBuffer | undefined;
}
