/** Trees. Implemented in `native/src/compact_tree.cc`. */
export interface TreeFunctions {
  /**
   * The memory of a CompactTree from the JSON of a tree blob; `undefined` for every tree that is not plain, be it unusual
   * or damaged. Works on the calling thread, 2 ns a byte.
   */
  compactTree(json: Uint8Array): ArrayBuffer | undefined;
}
