import { equalIds, type Id } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { BlobLoader } from "./blob-loader.js";
import { LoadedTreeReader } from "./load-tree.js";
import { type QueuedTree, type TakenTree, TreeQueue } from "./tree-queue.js";

const SLASH = 0x2f;
const ROOT = Buffer.alloc(0);

/** A node and where a walk met it. */
export class WalkedNode {
  readonly node: TreeNode;
  /** Path of the directory that it stands in; empty for those in the root. */
  readonly directory: Buffer;
  /** Directories above it, the root not counted. */
  readonly depth: number;
  #path: Buffer | undefined;

  constructor(node: TreeNode, directory: Buffer, depth: number) {
    this.node = node;
    this.directory = directory;
    this.depth = depth;
  }

  /** Names joined by `/`, none in front; raw bytes. Made when it is asked for: many walks look at most names only. */
  get path(): Buffer {
    this.#path ??= joinPath(this.directory, this.node.name);
    return this.#path;
  }
}

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Asked for each directory after it was handed out; `false` leaves out what is below. */
  readonly descend?: ((walked: WalkedNode) => boolean) | undefined;
  /**
   * Whether a tree is worth loading before the walk gets there, perhaps long before; all are when left out. For walks
   * with a `descend` that refuses much.
   */
  readonly expects?: ((subtree: Id) => boolean) | undefined;
  /**
   * Told of a directory that cannot be loaded, or is no tree from some node on, and goes on behind it. Without it the
   * walk fails. The root has the empty path.
   */
  readonly onError?: ((path: Buffer, error: YoreError) => void) | undefined;
}

/** A directory on the way down. */
interface Level {
  readonly path: Buffer;
  readonly nodes: LoadedTreeReader;
  /** Its directories that load ahead, in their order. */
  readonly queued: readonly QueuedTree[];
  nextQueued: number;
}

/**
 * Goes through all nodes below a tree: each directory before what is in it, names in their order. Trees load ahead of it
 * in batches, so that it seldom waits (see `TreeQueue`, also for how much memory that takes; beside it are the JSON of the
 * directories on the way down, and one node of each).
 *
 * ```ts
 * const cursor = new TreeCursor(repository, root);
 * for (;;) {
 *   const next = cursor.next();
 *   const walked = next instanceof Promise ? await next : next;
 *   if (!walked) break;
 *   // ... work with walked.node; cursor.skip() stays out of a directory
 * }
 * ```
 *
 * `walkTree` is the same as an async iterator, at about a microsecond more a node. Two cursors side by side compare two
 * trees; `visitTrees` is for those who need every tree once and no order.
 */
export class TreeCursor {
  readonly #signal: AbortSignal | undefined;
  readonly #descend: ((walked: WalkedNode) => boolean) | undefined;
  readonly #onError: ((path: Buffer, error: YoreError) => void) | undefined;
  readonly #queue: TreeQueue;
  readonly #levels: Level[] = [];
  /** The directory that the next step goes into, and the node that it was handed out as; the root has none. */
  #ahead: { readonly id: Id; readonly queued: QueuedTree | undefined } | undefined;
  #handedOut: WalkedNode | undefined;

  constructor(loader: BlobLoader, root: Id, options: WalkOptions = {}) {
    this.#signal = options.signal;
    this.#descend = options.descend;
    this.#onError = options.onError;
    this.#queue = new TreeQueue(loader, options.expects, options.signal);
    this.#ahead = { id: root, queued: undefined };
  }

  /**
   * The next node; `undefined` at the end. A promise only where its tree is still on its way: to await each of a million
   * nodes would take longer than the walk. One call at a time.
   *
   * @throws what the loader throws for a directory, unless `onError` is told
   */
  next(): WalkedNode | undefined | Promise<WalkedNode | undefined> {
    const ahead = this.#ahead;
    if (!ahead) return this.#step();
    if (this.#handedOut && this.#descend?.(this.#handedOut) === false) {
      this.skip();
      return this.#step();
    }
    this.#ahead = undefined;
    // What was not expected gets its place only now, for nothing of it shall be loaded if it is skipped.
    const queued = ahead.queued ?? this.#queue.push(ahead.id);
    const tree = this.#queue.take(queued);
    return tree instanceof Promise
      ? tree.then((loaded) => this.#enter(queued.id, loaded))
      : this.#enter(queued.id, tree);
  }

  /** Stays out of the directory that was handed out last. */
  skip(): void {
    if (this.#ahead?.queued) this.#queue.drop(this.#ahead.queued);
    this.#ahead = undefined;
  }

  /** Ends the walk before its end: nothing more is loaded ahead. */
  close(): void {
    this.#queue.close();
    this.#levels.length = 0;
    this.#ahead = undefined;
  }

  #enter(id: Id, tree: TakenTree): WalkedNode | undefined {
    throwIfAborted(this.#signal);
    const path = this.#handedOut?.path ?? ROOT;
    if ("error" in tree) {
      for (const child of tree.children) this.#queue.drop(child);
      this.#fail(path, tree.error);
    } else {
      const nodes = new LoadedTreeReader(id, tree.json);
      this.#levels.push({ path, nodes, queued: tree.children, nextQueued: 0 });
    }
    return this.#step();
  }

  /** Tells of a directory that ends here. @throws {unknown} the error itself, unless somebody is to be told */
  #fail(path: Buffer, error: unknown): void {
    if (!this.#onError || !(error instanceof YoreError)) throw error;
    this.#onError(path, error);
  }

  #step(): WalkedNode | undefined {
    for (;;) {
      const level = this.#levels.at(-1);
      if (!level) return undefined;
      const node = this.#nextOf(level);
      if (!node) continue;
      const walked = new WalkedNode(node, level.path, this.#levels.length - 1);
      // A directory without a tree is what other programs' repairs leave behind: it is empty.
      if (node.type === "dir" && node.subtree) {
        this.#ahead = { id: node.subtree, queued: this.#queuedIn(level, node.subtree) };
        this.#handedOut = walked;
      }
      return walked;
    }
  }

  /** The next node of a directory, which is left behind its last one and where it is damaged. */
  #nextOf(level: Level): TreeNode | undefined {
    try {
      const node = level.nodes.next();
      if (!node) this.#leave(level);
      return node;
    } catch (error) {
      this.#leave(level);
      this.#fail(level.path, error);
      return undefined;
    }
  }

  /** The place of a subtree in the queue, if it was expected. */
  #queuedIn(level: Level, id: Id): QueuedTree | undefined {
    const next = level.queued[level.nextQueued];
    if (!next || !equalIds(next.id, id)) return undefined;
    level.nextQueued++;
    return next;
  }

  #leave(level: Level): void {
    this.#levels.pop();
    // What looked like a directory to the queue, and was none.
    for (const queued of level.queued.slice(level.nextQueued)) this.#queue.drop(queued);
  }
}

/** `a/b` of `a` and `b`; raw bytes. */
export function joinPath(parent: Buffer, name: Buffer): Buffer {
  if (parent.length === 0) return name;
  const path = Buffer.allocUnsafe(parent.length + 1 + name.length);
  path.set(parent);
  path[parent.length] = SLASH;
  path.set(name, parent.length + 1);
  return path;
}
