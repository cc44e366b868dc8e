import { forEachConcurrently } from "../async/map-concurrently.js";
import { type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader } from "./blob-loader.js";
import { decodeLoadedTree, loadTree } from "./load-tree.js";

/** Subtrees that are loading ahead in each directory on the way from the root to where the walk is. */
const AHEAD = 4;

/** Trees that `visitTrees` has under way. */
const VISIT_CONCURRENCY = 16;

export interface WalkedNode {
  /** Names joined by `/`, none in front; raw bytes. */
  readonly path: Buffer;
  readonly node: TreeNode;
}

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Asked for each directory after it was handed out; `false` leaves out what is below. */
  readonly descend?: (walked: WalkedNode) => boolean;
  /**
   * Told of a directory that cannot be loaded, and goes on behind it. Without it the walk fails. The root has
   * the empty path.
   */
  readonly onError?: (path: Buffer, error: YoreError) => void;
}

/** A directory on the way down. */
interface Level {
  readonly path: Buffer;
  readonly nodes: readonly TreeNode[];
  position: number;
  /** Subtrees under way, by position; a failure is kept until its turn comes. */
  readonly loading: Map<number, Promise<Loaded>>;
  /** Positions below this were looked at for loading ahead. */
  ahead: number;
}

type Loaded = { readonly nodes: TreeNode[] } | { readonly error: unknown };

/**
 * All nodes below a tree: each directory before what is in it, names in their order. The next subtrees of
 * every directory on the way load while the caller works, so at most 4 trees a level are in memory ahead of
 * the walk.
 */
export async function* walkTree(
  loader: BlobLoader,
  root: Id,
  options: WalkOptions = {},
): AsyncGenerator<WalkedNode, void, undefined> {
  const { signal, descend, onError } = options;
  const load = (id: Id): Promise<Loaded> =>
    loadTree(loader, id, signal).then(
      (nodes) => ({ nodes }),
      (error: unknown) => ({ error }),
    );
  const levels: Level[] = [];
  const enter = (path: Buffer, loaded: Loaded) => {
    throwIfAborted(signal);
    if ("nodes" in loaded) {
      levels.push({ path, nodes: loaded.nodes, position: 0, loading: new Map(), ahead: 0 });
    } else {
      if (!onError || !(loaded.error instanceof YoreError)) throw loaded.error;
      onError(path, loaded.error);
    }
  };
  enter(Buffer.alloc(0), await load(root));
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const position = level.position++;
    const node = level.nodes[position];
    if (!node) {
      levels.pop();
      continue;
    }
    loadAhead(level, position, load);
    const subtree = level.loading.get(position);
    level.loading.delete(position);
    const walked = { path: joinPath(level.path, node.name), node };
    yield walked;
    if (node.type !== "dir" || descend?.(walked) === false) continue;
    // A directory without a tree is what other programs' repairs leave behind: it is empty.
    if (node.subtree) enter(walked.path, await (subtree ?? load(node.subtree)));
  }
}

/** Starts loading subtrees from a position on, as far as there is room. */
function loadAhead(level: Level, from: number, load: (id: Id) => Promise<Loaded>): void {
  level.ahead = Math.max(level.ahead, from);
  while (level.loading.size < AHEAD && level.ahead < level.nodes.length) {
    const { type, subtree } = level.nodes[level.ahead]!;
    if (type === "dir" && subtree) level.loading.set(level.ahead, load(subtree));
    level.ahead++;
  }
}

/** `a/b` of `a` and `b`; raw bytes. */
export function joinPath(parent: Buffer, name: Buffer): Buffer {
  return parent.length === 0 ? name : Buffer.concat([parent, SLASH, name]);
}

const SLASH = Buffer.from("/");

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
  options: { readonly signal?: AbortSignal | undefined; readonly seen?: Set<string> } = {},
): Promise<void> {
  const seen = options.seen ?? new Set<string>();
  let waiting: Id[] = [];
  const push = (id: Id) => {
    const key = idKey(id);
    if (seen.has(key)) return;
    seen.add(key);
    waiting.push(id);
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
