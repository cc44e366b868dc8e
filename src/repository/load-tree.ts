import { formatId, formatShortId, type Id } from "../bytes/id.js";
import { DamagedError, FormatError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { decodeTree } from "../format/tree.js";
import { TreeDecoder } from "../format/tree-decoder.js";
import type { BlobLoader } from "./blob-loader.js";

/** JSON of a tree whose nodes are kept for as long as they are gone through; they take five times as much. */
const MAX_DECODED_BYTES = 1024 * 1024;

/**
 * Loads and decodes one tree.
 *
 * @throws {NotFoundError} if no index knows it
 * @throws {DamagedError} if no copy is intact, or it is no tree
 */
export async function loadTree(loader: BlobLoader, id: Id, signal?: AbortSignal): Promise<TreeNode[]> {
  return decodeLoadedTree(id, await loader.loadBlob("tree", id, signal));
}

/**
 * The node that has a name in a tree. No other is kept, and none behind it is decoded.
 *
 * @returns `undefined` when there is none
 * @throws {DamagedError} if the tree is none before it; and what `loadTree` throws
 */
export async function loadNode(
  loader: BlobLoader,
  tree: Id,
  name: Uint8Array,
  signal?: AbortSignal,
): Promise<TreeNode | undefined> {
  for (const node of new LoadedTreeReader(tree, await loader.loadBlob("tree", tree, signal)))
    if (node.name.equals(name)) return node;
  return undefined;
}

/** Decodes a tree that was loaded. @throws {DamagedError} naming it if it is no tree */
export function decodeLoadedTree(id: Id, blob: Uint8Array): TreeNode[] {
  try {
    return decodeTree(blob);
  } catch (cause) {
    throw asDamaged(id, cause);
  }
}

/**
 * The nodes of a tree that was loaded, to be gone through as often as one likes. Those of a large tree are decoded each time,
 * so that they are never in memory at once: then it is there that it throws.
 *
 * @throws {DamagedError} naming the tree if it is none
 */
export function decodedNodes(id: Id, blob: Uint8Array): Iterable<TreeNode> {
  if (blob.length <= MAX_DECODED_BYTES) return decodeLoadedTree(id, blob);
  return { [Symbol.iterator]: () => new LoadedTreeReader(id, blob)[Symbol.iterator]() };
}

/**
 * A tree that was loaded, decoded node by node as they are asked for: what a directory of a million files decodes to need
 * not be in memory at once.
 */
export class LoadedTreeReader {
  readonly #id: Id;
  readonly #decoder: TreeDecoder;

  constructor(id: Id, blob: Uint8Array) {
    this.#id = id;
    this.#decoder = new TreeDecoder(blob);
  }

  *[Symbol.iterator](): Iterator<TreeNode> {
    for (let node = this.next(); node; node = this.next()) yield node;
  }

  /** `undefined` behind the last one. @throws {DamagedError} naming the tree where it is none; nothing comes behind that */
  next(): TreeNode | undefined {
    try {
      return this.#decoder.next();
    } catch (cause) {
      throw asDamaged(this.#id, cause);
    }
  }

  /** One node by itself: see `TreeDecoder`. @throws {DamagedError} naming the tree where it is none */
  nodeAt(offset: number, number: number): TreeNode {
    try {
      return this.#decoder.nodeAt(offset, number);
    } catch (cause) {
      throw asDamaged(this.#id, cause);
    }
  }
}

function asDamaged(id: Id, cause: unknown): unknown {
  if (!(cause instanceof FormatError)) return cause;
  return new DamagedError(`Cannot load tree ${formatShortId(id)}: ${cause.message}`, {
    cause,
    hint: `The damaged tree is ${formatId(id)}`,
  });
}
