import { forEachConcurrently } from "../async/map-concurrently.js";
import { type Id, idKey } from "../bytes/id.js";
import type { Engine, TreeReferences } from "../engine/engine.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader, BlobResult } from "./blob-loader.js";
import { decodedNodes, LoadedTreeReader } from "./load-tree.js";
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

/** A tree that was loaded. What it holds is read when it is asked for, which must be before the visit returns. */
export interface VisitedTree {
  readonly id: Id;
  /** The blob. */
  readonly json: Uint8Array;
  /** What it refers to, where the engine could tell without decoding it. */
  readonly references: TreeReferences | undefined;
  /** To be gone through once. @throws {DamagedError} on the way, where it is no tree */
  readonly nodes: Iterable<TreeNode>;
  /** The trees of its directories. */
  readonly subtrees: Iterable<Id>;
  /** The blobs of its files, in the order of the nodes. */
  readonly contents: Iterable<Id>;
}

export interface VisitOptions {
  readonly signal?: AbortSignal | undefined;
  /** True for the first time that a tree is met: for callers who can tell with less memory than a set of all IDs. */
  readonly isNew?: (id: Id) => boolean;
  /** Called for each root when its tree was visited, or at once where an earlier call did. */
  readonly onRoot?: (() => void) | undefined;
  /** For callers who want the nodes of few trees: what the others refer to is told without decoding them. */
  readonly engine?: Pick<Engine, "parseTree">;
}

/**
 * Visits every tree that can be reached from the roots once, in no order, many at a time: what check, prune
 * and statistics need. It goes down from all roots side by side, so that over a slow line it takes as many round trips as
 * the deepest tree has levels, and not as many for each snapshot. Memory: the IDs of what was met and not yet visited.
 *
 * @param on is called for each tree, or with why it could not be loaded
 */
export async function visitTrees(
  loader: BlobLoader,
  roots: Iterable<Id>,
  on: (id: Id, tree: VisitedTree | { readonly error: YoreError }) => undefined,
  options: VisitOptions = {},
): Promise<void> {
  const { engine } = options;
  const seen = new Set<string>();
  const isNewKey = (id: Id) => seen.size < seen.add(idKey(id)).size;
  const isNew = options.isNew ?? isNewKey;
  let waiting: Id[] = [];
  const push = (id: Id) => {
    if (isNew(id)) waiting.push(id);
  };
  const unvisited = new Map<string, number>();
  for (const root of roots) {
    const before = waiting.length;
    push(root);
    const key = idKey(root);
    const known = unvisited.get(key) ?? 0;
    if (waiting.length > before || known > 0) unvisited.set(key, known + 1);
    else options.onRoot?.();
  }
  const visit = (id: Id, result: BlobResult): undefined => {
    const key = unvisited.size > 0 ? idKey(id) : "";
    for (let left = unvisited.get(key) ?? 0; left > 0; left--) options.onRoot?.();
    unvisited.delete(key);
    let tree: OpenTree;
    try {
      if ("error" in result) throw result.error;
      const references = engine?.parseTree?.(result.plaintext);
      tree = references
        ? new ParsedTree(id, result.plaintext, references)
        : new DecodedTree(id, result.plaintext);
    } catch (error) {
      throwIfAborted(options.signal);
      if (!(error instanceof YoreError)) throw error;
      return on(id, { error });
    }
    for (const subtree of tree.subtrees) push(subtree);
    try {
      return on(id, tree);
    } finally {
      tree.close();
    }
  };
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    await loadMany(loader, batch, visit, options.signal);
  }
}

abstract class OpenTree implements VisitedTree {
  readonly id: Id;
  #json: Uint8Array | undefined;
  abstract readonly references: TreeReferences | undefined;
  abstract readonly subtrees: Iterable<Id>;
  abstract readonly contents: Iterable<Id>;

  constructor(id: Id, json: Uint8Array) {
    this.id = id;
    this.#json = json;
  }

  get json(): Uint8Array {
    if (!this.#json) throw new Error("the nodes of a tree were asked for after the visit");
    return this.#json;
  }

  get nodes(): Iterable<TreeNode> {
    return new LoadedTreeReader(this.id, this.json);
  }

  close(): void {
    this.#json = undefined;
  }
}

class ParsedTree extends OpenTree {
  readonly references: TreeReferences;

  constructor(id: Id, json: Uint8Array, references: TreeReferences) {
    super(id, json);
    this.references = references;
  }

  get subtrees(): Iterable<Id> {
    return this.references.subtrees;
  }

  get contents(): Iterable<Id> {
    return this.references.contents;
  }
}

/**
 * What it refers to takes decoding; a large one is decoded again for all that is asked of it, so that it is never there at
 * once.
 */
class DecodedTree extends OpenTree {
  readonly references = undefined;
  readonly subtrees: readonly Id[];
  readonly #nodes: Iterable<TreeNode>;

  /** @throws {DamagedError} if it is no tree */
  constructor(id: Id, json: Uint8Array) {
    super(id, json);
    this.#nodes = decodedNodes(id, json);
    const subtrees: Id[] = [];
    for (const { type, subtree } of this.nodes) if (type === "dir" && subtree) subtrees.push(subtree);
    this.subtrees = subtrees;
  }

  override get nodes(): Iterable<TreeNode> {
    return this.#nodes;
  }

  get contents(): Iterable<Id> {
    return contentsOf(this.nodes);
  }
}

function* contentsOf(nodes: Iterable<TreeNode>): Generator<Id, void, undefined> {
  for (const { type, content } of nodes) if (type === "file" && content) yield* content;
}

/** Loads trees, with few requests where the loader knows which lie side by side in a pack. */
async function loadMany(
  loader: BlobLoader,
  ids: readonly Id[],
  visit: (id: Id, result: BlobResult) => undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (loader.loadBlobs && ids.length > 1) return loader.loadBlobs("tree", ids, visit, signal);
  const loadAlone = async (id: Id) => {
    const loading = loader.loadBlob("tree", id, signal);
    const loaded = loading.then(
      (plaintext) => ({ plaintext }),
      (error: unknown) => ({ error }),
    );
    visit(id, await loaded);
  };
  await forEachConcurrently(ids, VISIT_CONCURRENCY, loadAlone, signal);
}
