import { equalIds, type Id } from "../bytes/id.js";
import { DamagedError, messageOf, throwIfAborted, YoreError } from "../errors.js";
import { isSafeName, quoteName } from "../format/name-quoting.js";
import type { TreeNode } from "../format/node.js";
import { pathText } from "../patterns/mod.js";
import type { BlobLoader } from "../repository/blob-loader.js";
import { decodedNodes } from "../repository/load-tree.js";
import { type QueuedTree, TreeQueue } from "../repository/tree-queue.js";
import type { Select } from "./restore-options.js";
import { childOf } from "./target-folder.js";

/** What is done at each station of a walk. A failure is told to `report` and costs this node only. */
export interface TreeVisitor {
  /** Before what is in a selected folder. */
  enterFolder?(node: TreeNode | undefined, location: string): Promise<void> | void;
  /** Every selected node that is no folder. @param folder where it is */
  visitNode(node: TreeNode, location: string, folder: string): Promise<void> | void;
  /**
   * After what is in a folder, when it or anything below it was selected. The root has no node.
   * @param names all names that the tree has, selected or not; `undefined` when the tree could not be read
   */
  leaveFolder?(
    node: TreeNode | undefined,
    location: string,
    names: ReadonlySet<string> | undefined,
  ): Promise<void> | void;
  /** Whether nothing is to be done with what is in a selected folder: then its tree is not even loaded. */
  skips?(node: TreeNode, location: string): boolean;
  /** What `skips` says by the tree alone, for those that are loaded ahead; all are expected when left out. */
  expects?(subtree: Id): boolean;
}

interface Walked {
  readonly anySelected: boolean;
  readonly names: ReadonlySet<string> | undefined;
}

/**
 * Walks a snapshot's tree in restic's order: names ascending, a folder's content right after the folder. Trees load ahead
 * of it in batches; see `TreeQueue`, also for how much memory that takes.
 */
export class TreeWalk {
  readonly #loader: BlobLoader;
  readonly #select: Select;
  readonly #report: (location: string, error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #visitor: TreeVisitor = { visitNode: () => {} };
  #queue: TreeQueue;
  /** What was told of trees before: every tree is walked twice, and its problems are told once. */
  readonly #told = new Set<string>();
  /** Set for good once a tree turned out to be malicious or damaged: then nothing may be deleted on its word. */
  isSuspicious = false;

  constructor(
    loader: BlobLoader,
    select: Select,
    report: (location: string, error: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#loader = loader;
    this.#queue = new TreeQueue(loader, undefined, signal);
    this.#select = select;
    this.#report = report;
    this.#signal = signal;
  }

  async run(root: Id, visitor: TreeVisitor): Promise<void> {
    this.#visitor = visitor;
    this.#queue = new TreeQueue(this.#loader, visitor.expects?.bind(visitor), this.#signal);
    try {
      await this.#attempt("/", () => visitor.enterFolder?.(undefined, "/"));
      const { anySelected, names } = await this.#walkTree(this.#queue.push(root), "/");
      if (anySelected) await this.#attempt("/", () => visitor.leaveFolder?.(undefined, "/", names));
    } finally {
      this.#queue.close();
    }
  }

  async #walkTree(queued: QueuedTree, location: string): Promise<Walked> {
    throwIfAborted(this.#signal);
    const taken = this.#queue.take(queued);
    const loaded = taken instanceof Promise ? await taken : taken;
    const subtrees = new Subtrees(this.#queue, loaded.children);
    let nodes: Iterable<TreeNode>;
    try {
      if ("error" in loaded) throw loaded.error;
      nodes = decodedNodes(queued.id, loaded.json);
      // Nothing is done on the word of a tree that is none further on.
      if (!Array.isArray(nodes)) for (const _ of nodes);
    } catch (error) {
      throwIfAborted(this.#signal);
      this.#suspect(location, error);
      subtrees.dropRest();
      return { anySelected: false, names: undefined };
    }
    const names = new Set<string>();
    let anySelected = false;
    for (const node of nodes) {
      throwIfAborted(this.#signal);
      const name = pathText(node.name);
      const problem = nameProblem(node, names.has(name));
      names.add(name);
      const subtree = node.type === "dir" && node.subtree ? subtrees.take(node.subtree) : undefined;
      if (problem) {
        this.#suspect(location, new DamagedError(problem));
        if (subtree) this.#queue.drop(subtree);
        continue;
      }
      const child = childOf(location, name);
      if (node.type === "dir") {
        if (await this.#walkFolder(node, child, subtree)) anySelected = true;
        // restic never restores sockets: they are made by the program that listens.
      } else if (node.type !== "socket" && this.#select(child, false).selected) {
        anySelected = true;
        // Most of millions are not asynchronous.
        const visited = this.#attempt(child, () => this.#visitor.visitNode(node, child, location));
        if (visited) await visited;
      }
    }
    subtrees.dropRest();
    return { anySelected, names };
  }

  /** @returns whether the folder or anything below it was selected */
  async #walkFolder(node: TreeNode, location: string, subtree: QueuedTree | undefined): Promise<boolean> {
    const { selected, childMayBeSelected } = this.#select(location, true);
    if (!subtree) {
      this.#suspect(location, new DamagedError(`Cannot restore "${location}": the folder has no tree`));
      return selected;
    }
    const isWalked = childMayBeSelected && this.#visitor.skips?.(node, location) !== true;
    if (!isWalked) this.#queue.drop(subtree);
    if (selected) await this.#attempt(location, () => this.#visitor.enterFolder?.(node, location));
    const below = isWalked
      ? await this.#walkTree(subtree, location)
      : { anySelected: false, names: undefined };
    if (selected || below.anySelected)
      await this.#attempt(location, () => this.#visitor.leaveFolder?.(node, location, below.names));
    return selected || below.anySelected;
  }

  /** Tells what is wrong with a tree, and trusts it no further. */
  #suspect(location: string, error: unknown): void {
    this.isSuspicious = true;
    const key = `${location}\n${messageOf(error)}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#report(location, error);
  }

  /** Runs one station; a promise only if the station is asynchronous, since most of millions are not. */
  #attempt(location: string, action: () => Promise<void> | void): Promise<void> | undefined {
    try {
      const done = action();
      return done instanceof Promise
        ? done.catch((error: unknown) => this.#onFailure(location, error))
        : undefined;
    } catch (error) {
      this.#onFailure(location, error);
      return undefined;
    }
  }

  #onFailure(location: string, error: unknown): void {
    throwIfAborted(this.#signal);
    if (stopsEverything(error)) throw error;
    this.#report(location, error);
  }
}

/** The places in the queue of a tree's subtrees, which are taken in their order. */
class Subtrees {
  readonly #queue: TreeQueue;
  readonly #places: readonly QueuedTree[];
  #next = 0;

  constructor(queue: TreeQueue, places: readonly QueuedTree[]) {
    this.#queue = queue;
    this.#places = places;
  }

  take(id: Id): QueuedTree {
    const next = this.#places[this.#next];
    if (!next || !equalIds(next.id, id)) return this.#queue.push(id);
    this.#next++;
    return next;
  }

  /** For what looked like a folder to the queue, and was none. */
  dropRest(): void {
    for (const queued of this.#places.slice(this.#next)) this.#queue.drop(queued);
  }
}

/** Errors after which going on is useless or unwanted. */
export function stopsEverything(error: unknown): boolean {
  return error instanceof YoreError && ["no-space", "interrupted", "locked"].includes(error.code);
}

function nameProblem(node: TreeNode, isRepeated: boolean): string | undefined {
  const shown = `"${quoteName(node.name)}"`;
  if (!isSafeName(node.name))
    return `Cannot restore ${shown}: this is not the name of a file, but may lead elsewhere`;
  // A link and a folder of one name could lead out of the target.
  if (isRepeated) return `Cannot restore ${shown}: the tree has the name twice`;
  return undefined;
}
