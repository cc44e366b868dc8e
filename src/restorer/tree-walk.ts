import type { Id } from "../bytes/id.js";
import { DamagedError, messageOf, throwIfAborted, YoreError } from "../errors.js";
import { isSafeName, quoteName } from "../format/name-quoting.js";
import type { TreeNode } from "../format/node.js";
import { pathText } from "../patterns/mod.js";
import { decodeLoadedTree } from "../repository/load-tree.js";
import type { Select } from "./restore-options.js";
import { childOf } from "./target-folder.js";

/** Folders whose trees are loaded ahead of the walk, at each level. */
const TREES_AHEAD = 16;

/** Loads a tree blob: the walk asks for them about in the order in which a backup saved them. */
export type LoadTreeBlob = (id: Id, signal: AbortSignal | undefined) => Promise<Uint8Array>;

type Loaded = { readonly blob: Uint8Array } | { readonly error: unknown };

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
}

interface Walked {
  readonly anySelected: boolean;
  readonly names: ReadonlySet<string> | undefined;
}

/** Walks a snapshot's tree in restic's order: names ascending, a folder's content right after the folder. */
export class TreeWalk {
  readonly #load: LoadTreeBlob;
  readonly #select: Select;
  readonly #report: (location: string, error: unknown) => void;
  readonly #signal: AbortSignal | undefined;
  #visitor: TreeVisitor = { visitNode: () => {} };
  /** What was told of trees before: every tree is walked twice, and its problems are told once. */
  readonly #told = new Set<string>();
  /** Set for good once a tree turned out to be malicious or damaged: then nothing may be deleted on its word. */
  isSuspicious = false;

  constructor(
    load: LoadTreeBlob,
    select: Select,
    report: (location: string, error: unknown) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#load = load;
    this.#select = select;
    this.#report = report;
    this.#signal = signal;
  }

  async run(root: Id, visitor: TreeVisitor): Promise<void> {
    this.#visitor = visitor;
    await this.#attempt("/", () => visitor.enterFolder?.(undefined, "/"));
    const { anySelected, names } = await this.#walkTree(root, "/", this.#start(root));
    if (anySelected) await this.#attempt("/", () => visitor.leaveFolder?.(undefined, "/", names));
  }

  async #walkTree(id: Id, location: string, loading: Promise<Loaded>): Promise<Walked> {
    throwIfAborted(this.#signal);
    let nodes: TreeNode[];
    try {
      const loaded = await loading;
      if ("error" in loaded) throw loaded.error;
      nodes = decodeLoadedTree(id, loaded.blob);
    } catch (error) {
      throwIfAborted(this.#signal);
      this.#suspect(location, error);
      return { anySelected: false, names: undefined };
    }
    const names = new Set<string>();
    const subtrees = this.#loadAhead(nodes);
    let anySelected = false;
    for (const node of nodes) {
      throwIfAborted(this.#signal);
      const name = pathText(node.name);
      const problem = nameProblem(node, names.has(name));
      names.add(name);
      if (problem) {
        this.#suspect(location, new DamagedError(problem));
        continue;
      }
      const child = childOf(location, name);
      if (node.type === "dir") {
        if (await this.#walkFolder(node, child, subtrees)) anySelected = true;
        // restic never restores sockets: they are made by the program that listens.
      } else if (node.type !== "socket" && this.#select(child, false).selected) {
        anySelected = true;
        // Most of millions are not asynchronous.
        const visited = this.#attempt(child, () => this.#visitor.visitNode(node, child, location));
        if (visited) await visited;
      }
    }
    return { anySelected, names };
  }

  /** @returns whether the folder or anything below it was selected */
  async #walkFolder(node: TreeNode, location: string, subtrees: SubtreesAhead): Promise<boolean> {
    const { selected, childMayBeSelected } = this.#select(location, true);
    const { subtree } = node;
    if (!subtree) {
      this.#suspect(location, new DamagedError(`Cannot restore "${location}": the folder has no tree`));
      return selected;
    }
    const loading = subtrees(node) ?? this.#start(subtree);
    if (selected) await this.#attempt(location, () => this.#visitor.enterFolder?.(node, location));
    const below = childMayBeSelected
      ? await this.#walkTree(subtree, location, loading)
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

  /** Never rejects, so that it can wait for its turn. */
  #start(id: Id): Promise<Loaded> {
    return this.#load(id, this.#signal).then(
      (blob) => ({ blob }),
      (error: unknown) => ({ error }),
    );
  }

  /** Starts loading the trees of the first folders; each that is taken starts one more. */
  #loadAhead(nodes: readonly TreeNode[]): SubtreesAhead {
    const folders = nodes.filter((node) => node.type === "dir" && node.subtree);
    const loading = new Map<TreeNode, Promise<Loaded>>();
    let next = 0;
    const loadNext = () => {
      const folder = folders[next++];
      if (folder?.subtree) loading.set(folder, this.#start(folder.subtree));
    };
    while (next < Math.min(TREES_AHEAD, folders.length)) loadNext();
    return (folder) => {
      const started = loading.get(folder);
      loading.delete(folder);
      loadNext();
      return started;
    };
  }
}

/** Hands out the tree of a folder that was loaded ahead. */
type SubtreesAhead = (folder: TreeNode) => Promise<Loaded> | undefined;

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
