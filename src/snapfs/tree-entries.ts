/** Hands out the objects of trees: one by one, or written as the records of a directory. */

import type { Id } from "../bytes/id.js";
import type { CompactTree } from "../cache/compact-tree.js";
import { S_IFDIR } from "../format/file-mode.js";
import type { Entry, NodeId, RecordTarget } from "../fuse/filesystem.js";
import { RecordWriter } from "../fuse/record-writer.js";
import type { AttributeMaker } from "./attributes.js";
import { treeIno } from "./ino.js";
import type { NodeTable } from "./node-table.js";
import type { TreePlace } from "./place.js";

/** A directory of a snapshot whose tree is there. */
export interface OpenTree {
  readonly node: NodeId;
  readonly place: TreePlace;
  readonly tree: CompactTree;
}

export class TreeEntries {
  readonly #nodes: NodeTable;
  readonly #attributes: AttributeMaker;
  readonly #onPlain: (nodes: readonly NodeId[]) => void;
  readonly #writer = RecordWriter.create();

  /** @param onPlain is told of objects of a directory that have no extended attributes */
  constructor(
    nodes: NodeTable,
    attributes: AttributeMaker,
    onPlain: (nodes: readonly NodeId[]) => void = () => undefined,
  ) {
    this.#nodes = nodes;
    this.#attributes = attributes;
    this.#onPlain = onPlain;
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
    const writer = this.#writer;
    if (!writer) return 0;
    const { tree, place, node } = directory;
    const ino = this.#nodes.ino(node);
    const stretch = { tree: tree.memory, position, ino, snapshotIno: place.view.ino };
    let count = writer.fit(stretch, target);
    if (target.plus) count = this.#handMany(writer, directory, position, count, target);
    if (count > 0) writer.write(stretch, count, target);
    return count;
  }

  /** @returns how many went well */
  #handMany(
    writer: RecordWriter,
    directory: OpenTree,
    from: number,
    count: number,
    target: RecordTarget,
  ): number {
    const { tree } = directory;
    const plain: NodeId[] = [];
    let done = 0;
    try {
      for (; done < count; done++) {
        const position = from + done;
        const facts = this.#attributes.factsOfTree(tree, position);
        const nodeId = this.#hand(directory, position, writer.ino(done));
        writer.note(done, nodeId, facts);
        target.handedOut.push(nodeId);
        if (tree.typeBits(position) === S_IFDIR) target.directories.push(nodeId);
        if (!tree.hasExtendedAttributes(position)) plain.push(nodeId);
      }
    } catch {
      // Who asks for this entry alone gets the error.
    }
    this.#onPlain(plain);
    return done;
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
