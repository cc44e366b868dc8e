import { forEachConcurrently } from "../async/map-concurrently.js";
import { type Id, idKey } from "../bytes/id.js";
import type { Engine, TreeReferences } from "../engine/engine.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader } from "./blob-loader.js";
import { decodeLoadedTree } from "./load-tree.js";
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

/** A tree that was loaded. */
export interface VisitedTree {
  /** What it refers to, where the engine could tell without decoding it. */
  readonly references: TreeReferences | undefined;
  /** Decoded at the latest when asked for, which must be before the visit returns. */
  readonly nodes: readonly TreeNode[];
}

/**
 * Visits every tree that can be reached from the roots once, in no order, many at a time: what check, prune
 * and statistics need. `seen` holds `idKey`s; hand the same set in again to leave out what earlier calls
 * visited.
 *
 * @param on is called for each tree, or with why it could not be loaded
 */
export async function visitTrees(
  loader: BlobLoader,
  roots: Iterable<Id>,
  on: (id: Id, tree: VisitedTree | { readonly error: YoreError }) => Promise<void> | void,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly seen?: Set<string>;
    /** In place of `seen`, for callers who can tell with less memory: true for the first time that a tree is met. */
    readonly isNew?: (id: Id) => boolean;
    /** For callers to whom it matters little what else is in a tree than what it refers to. */
    readonly engine?: Pick<Engine, "parseTree">;
  } = {},
): Promise<void> {
  const { seen = new Set<string>(), engine } = options;
  const isNewKey = (id: Id) => seen.size < seen.add(idKey(id)).size;
  const isNew = options.isNew ?? isNewKey;
  let waiting: Id[] = [];
  const push = (id: Id) => {
    if (isNew(id)) waiting.push(id);
  };
  for (const root of roots) push(root);
  const visit = (id: Id, load: () => Uint8Array): Promise<void> | void => {
    let tree: VisitedTree;
    try {
      const json = load();
      const references = engine?.parseTree?.(json);
      tree = references ? new ParsedTree(id, json, references) : decodedTree(id, json);
    } catch (error) {
      throwIfAborted(options.signal);
      if (!(error instanceof YoreError)) throw error;
      return on(id, { error });
    }
    if (tree.references) for (const subtree of tree.references.subtrees) push(subtree);
    else for (const { type, subtree } of tree.nodes) if (type === "dir" && subtree) push(subtree);
    return on(id, tree);
  };
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    await loadMany(loader, batch, visit, options.signal);
  }
}

function decodedTree(id: Id, json: Uint8Array): VisitedTree {
  return { references: undefined, nodes: decodeLoadedTree(id, json) };
}

class ParsedTree implements VisitedTree {
  readonly #id: Id;
  readonly #json: Uint8Array;
  readonly references: TreeReferences;

  constructor(id: Id, json: Uint8Array, references: TreeReferences) {
    this.#id = id;
    this.#json = json;
    this.references = references;
  }

  get nodes(): readonly TreeNode[] {
    return decodeLoadedTree(this.#id, this.#json);
  }
}

/** Loads trees, with few requests where the loader knows which lie side by side in a pack. */
async function loadMany(
  loader: BlobLoader,
  ids: readonly Id[],
  visit: (id: Id, load: () => Uint8Array) => Promise<void> | void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const loadAlone = async (id: Id) => {
    const loaded = await loader.loadBlob("tree", id, signal).then(
      (json) => () => json,
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
        return result.plaintext;
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
