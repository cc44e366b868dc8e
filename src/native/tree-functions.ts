/** Trees. Implemented in `native/src/compact_tree.cc` and `native/src/directory_records.cc`. */
export interface TreeFunctions {
  /**
   * The memory of a CompactTree from the JSON of a tree blob; `undefined` for every tree that is not plain, be it unusual
   * or damaged. Works on the calling thread, 2 ns a byte.
   */
  compactTree(json: Uint8Array): ArrayBuffer | undefined;
  /**
   * The same of a part of the nodes, at most so many of them (one at least). At the very end of the memory are u32: for each
   * node where it begins in the JSON, and then where the next part does, which is at the comma in front of a node, or the end
   * of the JSON when there are no more. Whether the names are in order is seen within a part only.
   *
   * @param from 0, or where the part before ended
   * @throws {RangeError} if it is beyond the JSON
   */
  compactNodes(json: Uint8Array, from: number, limit: number): ArrayBuffer | undefined;
  /**
   * The IDs in the JSON of a tree blob: two u32, how many trees and how many blobs, and then the IDs of 32 bytes. `undefined`
   * for every tree that is not plain, and when a directory names no tree, or a file does not say what it consists of.
   * Works on the calling thread.
   */
  treeReferences(json: Uint8Array): ArrayBuffer | undefined;

  /**
   * Looks how many entries of a directory, from a position of its tree on, fit into so many bytes as records of READDIRPLUS
   * (`plus`) or READDIR, and writes the st_ino of each. It stops at what is no file name, and when `inos` is full.
   *
   * @param tree memory of a CompactTree
   * @param room bytes
   * @param directory st_ino of the directory
   * @param view st_ino of the snapshot, for hard links
   * @returns how many
   */
  directoryInos(
    tree: Uint8Array,
    position: number,
    room: number,
    plus: boolean,
    directory: bigint,
    view: bigint,
    inos: BigUint64Array,
  ): number;
  /**
   * Writes so many records.
   *
   * @param at where in `records` the first begins
   * @param generation high word of their cookies
   * @param facts for READDIRPLUS, DIRECTORY_FACTS numbers for each entry: NodeId (0: only its name is shown), time to live
   *     in ms, size, blocks, mode, nlink, uid, gid
   * @returns where the last one ends
   * @throws {RangeError} when there is no room, or there are not as many
   */
  directoryRecords(
    records: Uint8Array,
    at: number,
    tree: Uint8Array,
    position: number,
    count: number,
    generation: number,
    inos: BigUint64Array,
    facts: Float64Array | undefined,
  ): number;
}

/** Numbers for an entry in `facts` of `directoryRecords`. */
export const DIRECTORY_FACTS = 8;
