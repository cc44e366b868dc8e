import { formatId, formatShortId, type Id } from "../bytes/id.js";
import { DamagedError, FormatError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { decodeTree } from "../format/tree.js";
import type { BlobLoader } from "./blob-loader.js";

/**
 * Loads and decodes one tree.
 *
 * @throws {NotFoundError} if no index knows it
 * @throws {DamagedError} if no copy is intact, or it is no tree
 */
export async function loadTree(loader: BlobLoader, id: Id, signal?: AbortSignal): Promise<TreeNode[]> {
  return decodeLoadedTree(id, await loader.loadBlob("tree", id, signal));
}

/** Decodes a tree that was loaded. @throws {DamagedError} naming it if it is no tree */
export function decodeLoadedTree(id: Id, blob: Uint8Array): TreeNode[] {
  try {
    return decodeTree(blob);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DamagedError(`Cannot load tree ${formatShortId(id)}: ${cause.message}`, {
      cause,
      hint: `The damaged tree is ${formatId(id)}`,
    });
  }
}
