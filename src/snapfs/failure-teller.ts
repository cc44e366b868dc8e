import { LRUCache } from "lru-cache";
import type { TreeCache } from "../cache/tree-cache.js";
import { messageOf, YoreError } from "../errors.js";
import { type NodeId, ROOT_NODE, ToldError } from "../fuse/filesystem.js";
import type { NodeTable } from "./node-table.js";

/** The same failure is not told again for so long. */
const QUIET_MS = 60_000;
/** Failures that are remembered. */
const MAX_TOLD = 1000;

/** Tells the user of what cannot be read: one line for each failure, with the path of what it hit. */
export class FailureTeller {
  readonly #nodes: NodeTable;
  readonly #trees: TreeCache;
  readonly #onLog: (line: string) => void;
  readonly #told = new LRUCache<string, true>({ max: MAX_TOLD, ttl: QUIET_MS });

  constructor(nodes: NodeTable, trees: TreeCache, onLog: ((line: string) => void) | undefined) {
    this.#nodes = nodes;
    this.#trees = trees;
    this.#onLog = onLog ?? (() => undefined);
  }

  /** @throws {ToldError} in any case */
  directory(node: NodeId, error: unknown): never {
    this.#tell(`${node}`, node, "directory", error);
    throw told(error);
  }

  /** A read that was interrupted is nobody's failure. @throws {ToldError} in any case */
  read(node: NodeId, offset: number, size: number, error: unknown): never {
    if (!(error instanceof YoreError && error.code === "interrupted")) {
      const range = `bytes ${offset} to ${offset + size - 1} of file`;
      // What is lost stays the same; the reason may change while a prune goes on: first the pack is missing, then the
      // index that is loaded again does not know the blob. So the reason is no part of what makes a failure new.
      const [what] = messageOf(error).split(": ", 1);
      this.#tell(`${node} ${what}`, node, range, error);
    }
    throw told(error);
  }

  #tell(key: string, node: NodeId, what: string, error: unknown): void {
    if (this.#told.has(key)) return;
    this.#told.set(key, true);
    void this.#pathOf(node).then((path) => {
      this.#onLog(`Cannot read ${what} "${path}": ${messageOf(error)}`);
    });
  }

  /** Names of what cannot be looked up any more are "?". */
  async #pathOf(node: NodeId): Promise<string> {
    const names: string[] = [];
    for (let at = node; at !== ROOT_NODE; ) {
      try {
        const parent = this.#nodes.parent(at);
        const place = this.#nodes.place(parent);
        const named = this.#nodes.place(at)?.name;
        if (named) names.unshift(named.toString());
        else if (place?.kind === "tree" && place.tree)
          names.unshift((await this.#trees.load(place.tree)).name(this.#nodes.position(at)).toString());
        else names.unshift("?");
        at = parent;
      } catch {
        names.unshift("?");
        break;
      }
    }
    return `/${names.join("/")}`;
  }
}

/** The same failure, told already. A blob that is missing is not a file that is missing: EIO, not ENOENT. */
function told(error: unknown): ToldError {
  const code = error instanceof YoreError && error.code !== "not-found" ? error.code : "damaged";
  return new ToldError(code, messageOf(error), { cause: error });
}
