/** Hands out the objects of trees: one by one, or written as the records of a directory. */

import type { Id } from "../bytes/id.js";
import type { CompactTree } from "../cache/compact-tree.js";
import { S_IFDIR } from "../format/file-mode.js";
import type { Entry, NodeId, RecordTarget } from "../fuse/filesystem.js";
import { type Addon, loadAddon } from "../native/addon.js";
import { DIRECTORY_FACTS } from "../native/tree-functions.js";
import type { AttributeMaker } from "./attributes.js";
import { treeIno } from "./ino.js";
import type { NodeTable } from "./node-table.js";
import type { TreePlace } from "./place.js";

/** Records that are written in one go; more do not fit into a reply of 128 KiB. */
const MAX_RECORDS = 1024;

/** A directory of a snapshot whose tree is there. */
export interface OpenTree {
  readonly node: NodeId;
  readonly place: TreePlace;
  readonly tree: CompactTree;
}

/** The memory for one directory record after the other is 72 KiB. */
export class TreeEntries {
  readonly #nodes: NodeTable;
  readonly #attributes: AttributeMaker;
  readonly #addon: Addon | undefined = loadAddon();
  readonly #inos = new BigUint64Array(MAX_RECORDS);
  readonly #facts = new Float64Array(MAX_RECORDS * DIRECTORY_FACTS);

  constructor(nodes: NodeTable, attributes: AttributeMaker) {
    this.#nodes = nodes;
    this.#attributes = attributes;
  }

  ino(directory: OpenTree, position: number): bigint {
    return treeIno(this.#nodes.ino(directory.node), directory.place.view, directory.tree, position);
  }

  enter(directory: OpenTree, position: number): Entry {
    const ino = this.ino(directory, position);
    const timed = this.#attributes.ofTree(directory.tree, position, ino);
    return { nodeId: this.#hand(directory, position, ino), ...timed };
  }

  /** See `DirectoryListing`. */
  writeRecords(directory: OpenTree, position: number, target: RecordTarget): number {
    const { tree, place, node } = directory;
    const { bytes, at, limit, plus, generation } = target;
    if (!this.#addon) return 0;
    const ino = this.#nodes.ino(node);
    const room = limit - at;
    let count = this.#addon.directoryInos(tree.memory, position, room, plus, ino, place.view.ino, this.#inos);
    if (plus) count = this.#handMany(directory, position, count, target);
    if (count === 0) return 0;
    const facts = plus ? this.#facts : undefined;
    target.at = this.#addon.directoryRecords(
      bytes,
      at,
      tree.memory,
      position,
      count,
      generation,
      this.#inos,
      facts,
    );
    return count;
  }

  /** @returns how many went well */
  #handMany(directory: OpenTree, from: number, count: number, target: RecordTarget): number {
    const facts = this.#facts;
    for (let i = 0, at = 0; i < count; i++, at += DIRECTORY_FACTS) {
      try {
        const found = this.#attributes.factsOfTree(directory.tree, from + i);
        facts[at + 1] = found.ttlMs;
        facts[at + 2] = found.size;
        facts[at + 3] = found.blocks;
        facts[at + 4] = found.mode;
        facts[at + 5] = found.nlink;
        facts[at + 6] = found.uid;
        facts[at + 7] = found.gid;
      } catch {
        // Who asks for this entry alone gets the error.
        return i;
      }
      const nodeId = this.#hand(directory, from + i, this.#inos[i]!);
      facts[at] = nodeId;
      target.handedOut.push(nodeId);
      if (directory.tree.typeBits(from + i) === S_IFDIR) target.directories.push(nodeId);
    }
    return count;
  }

  #hand({ node, place, tree }: OpenTree, position: number, ino: bigint): NodeId {
    const nodeId = this.#nodes.enter(node, position, ino);
    if (tree.typeBits(position) === S_IFDIR && !this.#nodes.place(nodeId)) {
      const subtree = tree.subtree(position);
      this.#nodes.setPlace(nodeId, {
        kind: "tree",
        // A view would keep the whole parent tree in memory.
        tree: subtree && (new Uint8Array(subtree) as Uint8Array as Id),
        view: place.view,
        isSnapshotRoot: false,
      });
    }
    return nodeId;
  }
}
