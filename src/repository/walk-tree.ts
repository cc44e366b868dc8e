import { forEachConcurrently } from "../async/map-concurrently.js";
import { type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader } from "./blob-loader.js";
import { decodeLoadedTree, loadTree } from "./load-tree.js";
import { TreeCursor, type WalkedNode, type WalkOptions } from "./tree-cursor.js";

/** Trees that `visitTrees` has under way. */
const VISIT_CONCURRENCY = 16;

/**
 * All nodes below a tree: each directory before what is in it, names in their order. Trees load ahead of the caller; see
 * `TreeCursor`, which is the same with less cost a node.
 */
export async function* walkTree(
  loader: BlobLoader,
  root: Id,
  options: WalkOptions = {},
): AsyncGenerator<WalkedNode, void, undefined> {
  const cursor = new TreeCursor(loader, root, options);
  try {
    for (;;) {
      const next = cursor.next();
      const walked = next instanceof Promise ? await next : next;
      if (!walked) return;
      yield walked;
    }
  } finally {
    cursor.close();
  }
}

/**
 * Visits every tree that can be reached from the roots once, in no order, many at a time: what check, prune
 * and statistics need. `seen` holds `idKey`s; hand the same set in again to leave out what earlier calls
 * visited.
 *
 * @param on is called for each tree with its nodes, or with why it could not be loaded
 */
export async function visitTrees(
  loader: BlobLoader,
  roots: Iterable<Id>,
  on: (
    id: Id,
    tree: { readonly nodes: readonly TreeNode[] } | { readonly error: YoreError },
  ) => Promise<void> | void,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly seen?: Set<string>;
    /** In place of `seen`, for callers who can tell with less memory: true for the first time that a tree is met. */
    readonly isNew?: (id: Id) => boolean;
  } = {},
): Promise<void> {
  const { seen = new Set<string>() } = options;
  const isNewKey = (id: Id) => seen.size < seen.add(idKey(id)).size;
  const isNew = options.isNew ?? isNewKey;
  let waiting: Id[] = [];
  const push = (id: Id) => {
    if (isNew(id)) waiting.push(id);
  };
  for (const root of roots) push(root);
  const visit = (id: Id, load: () => TreeNode[]): Promise<void> | void => {
    let nodes: TreeNode[];
    try {
      nodes = load();
    } catch (error) {
      throwIfAborted(options.signal);
      if (!(error instanceof YoreError)) throw error;
      return on(id, { error });
    }
    for (const { type, subtree } of nodes) if (type === "dir" && subtree) push(subtree);
    return on(id, { nodes });
  };
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    await loadMany(loader, batch, visit, options.signal);
  }
}

/** Loads trees, with few requests where the loader knows which lie side by side in a pack. */
async function loadMany(
  loader: BlobLoader,
  ids: readonly Id[],
  visit: (id: Id, load: () => TreeNode[]) => Promise<void> | void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const loadAlone = async (id: Id) => {
    const loaded = await loadTree(loader, id, signal).then(
      (nodes) => () => nodes,
      (error: unknown) => () => {
        throw error;
      },
    );
    await visit(id, loaded);
  };
  if (!loader.loadBlobs || ids.length === 1)
    return forEachConcurrently(ids, VISIT_CONCURRENCY, loadAlone, signal);
  const visits: Promise<void>[] = [];
  await loader.loadBlobs(
    "tree",
    ids,
    (id, result) => {
      const visited = visit(id, () => {
        if ("error" in result) throw result.error;
        return decodeLoadedTree(id, result.plaintext);
      });
      if (!visited) return;
      // Awaited below; until then its failure is not unhandled.
      visited.catch(() => {});
      visits.push(visited);
    },
    signal,
  );
  await Promise.all(visits);
}
