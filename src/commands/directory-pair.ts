import { awaitedLater } from "../async/awaited-later.js";
import { equalIds, type Id, idFromBytes } from "../bytes/id.js";
import type { Repository } from "../repository/repository.js";
import { joinPath } from "../repository/tree-cursor.js";
import { type SkimmedNode, SkimmedTree } from "./skimmed-tree.js";

/** Two directories that stand at the same path. */
export interface DirectoryPair {
  /** Raw bytes, no "/" in front. */
  readonly path: Buffer;
  readonly before: Id;
  readonly after: Id;
}

/** What has one name in two directories. */
export interface NodePair {
  readonly left: SkimmedNode | undefined;
  readonly right: SkimmedNode | undefined;
}

/** Two trees side by side. Beside their JSON they take little memory, unless the names of one are not in order. */
export class LoadedPair {
  readonly #left: OrderedTree;
  readonly #right: OrderedTree;

  /** @throws {DamagedError} if one is no tree */
  constructor(left: SkimmedTree, right: SkimmedTree) {
    this.#left = new OrderedTree(left);
    this.#right = new OrderedTree(right);
  }

  /** Loads both. @throws what the loader throws; {DamagedError} if one is no tree */
  static async load(
    repository: Repository,
    { before, after }: DirectoryPair,
    signal: AbortSignal,
  ): Promise<LoadedPair> {
    const load = async (id: Id) => new SkimmedTree(id, await repository.loadBlob("tree", id, signal));
    const [left, right] = await Promise.all([load(before), load(after)]);
    return new LoadedPair(left, right);
  }

  /** The nodes by name, in the order of the names; as often as it is asked for. */
  *nodes(): Generator<NodePair, void, undefined> {
    const lefts = this.#left[Symbol.iterator]();
    const rights = this.#right[Symbol.iterator]();
    let left = lefts.next().value;
    let right = rights.next().value;
    while (left || right) {
      const order = !left ? 1 : !right ? -1 : Buffer.compare(left.name, right.name);
      yield { left: order <= 0 ? left : undefined, right: order >= 0 ? right : undefined };
      if (order <= 0) left = lefts.next().value;
      if (order >= 0) right = rights.next().value;
    }
  }

  /** The directories that both have and that differ, in the order of their names. */
  *directories(path: Buffer): Generator<DirectoryPair, void, undefined> {
    if (!this.#left.hasDirectories || !this.#right.hasDirectories) return;
    for (const { left, right } of this.nodes()) {
      const pair = left && right && directoryPair(path, left, right);
      if (pair && !equalIds(pair.before, pair.after)) yield pair;
    }
  }
}

/** The nodes of a tree in the order of their names, each name once: the last node that has it. */
class OrderedTree implements Iterable<SkimmedNode> {
  readonly #nodes: Iterable<SkimmedNode>;
  readonly hasDirectories: boolean;

  /** @throws {DamagedError} if it is no tree */
  constructor(tree: SkimmedTree) {
    let isOrdered = true;
    let hasDirectories = false;
    let last: Buffer | undefined;
    for (const { name, subtree } of tree) {
      isOrdered &&= !last || Buffer.compare(last, name) < 0;
      hasDirectories ||= subtree !== undefined;
      last = name;
    }
    this.hasDirectories = hasDirectories;
    this.#nodes = isOrdered ? tree : inOrder(tree);
  }

  [Symbol.iterator](): Iterator<SkimmedNode> {
    return this.#nodes[Symbol.iterator]();
  }
}

function inOrder(nodes: Iterable<SkimmedNode>): SkimmedNode[] {
  const byName = new Map<string, SkimmedNode>();
  for (const node of nodes) byName.set(node.name.toString("latin1"), node);
  return [...byName.values()].sort((a, b) => Buffer.compare(a.name, b.name));
}

/** @param path of the directory that they stand in @returns `undefined` unless both are directories */
export function directoryPair(
  path: Buffer,
  left: SkimmedNode,
  right: SkimmedNode,
): DirectoryPair | undefined {
  if (!left.subtree || !right.subtree) return undefined;
  // Views would keep the trees that they stand in in memory.
  const [before, after] = [left.subtree, right.subtree].map((id) => idFromBytes(Buffer.from(id))) as [Id, Id];
  return { path: joinPath(path, left.name), before, after };
}

/** Pairs that load while those before them are compared. */
const PAIRS_AHEAD = 8;
/** JSON of those that load behind the next one. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;

/** Loads the next pairs of a directory while earlier ones are compared. */
export class PairsAhead {
  readonly #pairs: Iterator<DirectoryPair, void>;
  readonly #load: (pair: DirectoryPair) => Promise<LoadedPair>;
  readonly #bytesOf: (pair: DirectoryPair) => number;
  readonly #loading: { readonly loaded: Promise<LoadedPair>; readonly bytes: number }[] = [];
  #bytes = 0;
  /** The one that is loaded next. */
  #next: DirectoryPair | undefined;

  /** @param pairs in the order in which they will be taken */
  constructor(pairs: Iterator<DirectoryPair, void>, repository: Repository, signal: AbortSignal) {
    this.#pairs = pairs;
    this.#load = (pair) => LoadedPair.load(repository, pair, signal);
    const bytesOf = (id: Id) => repository.blobSize("tree", id) ?? 0;
    this.#bytesOf = ({ before, after }) => bytesOf(before) + bytesOf(after);
  }

  /** The next pair. */
  take(pair: DirectoryPair): Promise<LoadedPair> {
    this.#fill();
    const first = this.#loading.shift();
    if (!first) return this.#load(pair);
    this.#bytes -= first.bytes;
    this.#fill();
    return first.loaded;
  }

  #fill(): void {
    while (this.#loading.length < PAIRS_AHEAD) {
      this.#next ??= this.#pairs.next().value ?? undefined;
      if (!this.#next) return;
      const bytes = this.#bytesOf(this.#next);
      if (this.#loading.length > 0 && this.#bytes + bytes > MAX_AHEAD_BYTES) return;
      this.#loading.push({ loaded: awaitedLater(this.#load(this.#next)), bytes });
      this.#bytes += bytes;
      this.#next = undefined;
    }
  }
}
