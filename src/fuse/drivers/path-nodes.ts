/**
 * Paths to nodes, for drivers that are asked by path. Each cached path holds one entry of the filesystem, given back
 * when it is dropped; one that is dropped while an operation uses it, when the operation has ended.
 */

import { LRUCache } from "lru-cache";
import { NotFoundError } from "../../errors.js";
import { type Entry, type Filesystem, isEntry, type NodeId, ROOT_NODE } from "../filesystem.js";

const MAX_PATHS = 16_384;

interface Held {
  readonly node: NodeId;
  /** On the clock of `performance.now`; infinite for what cannot change. */
  readonly expiresAt: number;
  users: number;
  isDropped: boolean;
}

export class PathNodes {
  readonly #filesystem: Filesystem;
  readonly #root: Held = {
    node: ROOT_NODE,
    expiresAt: Number.POSITIVE_INFINITY,
    users: 0,
    isDropped: false,
  };
  readonly #paths: LRUCache<string, Held>;
  #timesCleared = 0;

  constructor(filesystem: Filesystem, maxPaths: number = MAX_PATHS) {
    this.#filesystem = filesystem;
    this.#paths = new LRUCache<string, Held>({ max: maxPaths, dispose: (held) => this.#drop(held) });
  }

  /** Resolves an absolute path and holds its node while the work is under way. @throws {NotFoundError} */
  async use<T>(path: string, work: (node: NodeId) => Promise<T> | T): Promise<T> {
    const held = await this.#acquire(path);
    try {
      return await work(held.node);
    } finally {
      this.#release(held);
    }
  }

  /** Gives everything back, at once or when the operations that use it have ended. */
  clear(): void {
    this.#timesCleared++;
    this.#paths.clear();
  }

  async #acquire(path: string): Promise<Held> {
    const known = path === "/" ? this.#root : this.#paths.get(path);
    if (known && known.expiresAt > performance.now()) {
      known.users++;
      return known;
    }
    const slash = path.lastIndexOf("/");
    const name = Buffer.from(path.slice(slash + 1));
    const before = this.#timesCleared;
    const found = await this.use(path.slice(0, slash) || "/", (parent) =>
      this.#filesystem.lookup(parent, name),
    );
    if (!isEntry(found)) throw new NotFoundError(`Cannot find "${path}"`);
    // What was on its way when all was given back is of before.
    return this.#hold(path, found, before === this.#timesCleared);
  }

  #hold(path: string, { nodeId, ttlMs }: Entry, isKept: boolean): Held {
    const held: Held = { node: nodeId, expiresAt: performance.now() + ttlMs, users: 1, isDropped: !isKept };
    // What somebody else has cached for the path meanwhile is dropped by this.
    if (isKept) this.#paths.set(path, held);
    return held;
  }

  #release(held: Held): void {
    held.users--;
    this.#giveBackIfUnused(held);
  }

  #drop(held: Held): void {
    held.isDropped = true;
    this.#giveBackIfUnused(held);
  }

  #giveBackIfUnused(held: Held): void {
    if (held.isDropped && held.users === 0) this.#filesystem.forget(held.node, 1);
  }
}
