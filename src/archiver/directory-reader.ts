import type { Id } from "../bytes/id.js";
import type { ScannedEntry } from "./file-record.js";
import type { ParentTrees } from "./parent-trees.js";
import { PreviousTree } from "./previous-tree.js";
import type { RawPath } from "./raw-path.js";
import type { Place } from "./save-queue.js";
import type { MatchedDirectory, Scanner } from "./scanner.js";

/** A directory that is exactly as its tree in the parent snapshot has it, at least above its subdirectories. */
export interface SameDirectory extends Omit<MatchedDirectory, "contents"> {
  /** In the parent snapshot. */
  readonly tree: Id;
}

/** A directory to be looked at entry by entry. */
export interface ListedDirectory {
  readonly entries: readonly ScannedEntry[];
  /** The directory in the parent snapshot; without it everything counts as new. */
  readonly previous: PreviousTree;
}

interface PreviousBlob {
  readonly id: Id;
  readonly blob: Uint8Array;
}

export interface DirectoryReaderOptions {
  readonly scanner: Scanner;
  readonly parent: ParentTrees;
  /** True for a directory in which no rule leaves anything out, and whose entries nobody wants to see one by one. */
  readonly mayMatch: (path: RawPath) => boolean;
  /** A tree of the parent snapshot cannot be read, which costs time only. */
  readonly onError: (inSnapshot: RawPath, error: Error) => void;
}

/** Fetches what is to be known of a directory before it is walked. */
export class DirectoryReader {
  readonly #options: DirectoryReaderOptions;

  constructor(options: DirectoryReaderOptions) {
    this.#options = options;
  }

  /**
   * @param tree of the directory in the parent snapshot
   * @throws the system's error when the directory cannot be listed
   */
  async read({ path, inSnapshot }: Place, tree: Id | undefined): Promise<SameDirectory | ListedDirectory> {
    const { scanner, parent, mayMatch } = this.#options;
    if (!tree || !scanner.scanAgainst || !mayMatch(path)) {
      const [entries, previous] = await Promise.all([
        scanner.scanDirectory(path),
        this.previous(tree, inSnapshot),
      ]);
      return { entries, previous };
    }
    const previous = await this.#load(tree, inSnapshot);
    if (!previous) return { entries: await scanner.scanDirectory(path), previous: PreviousTree.EMPTY };
    const found = await scanner.scanAgainst(path, previous.blob);
    if (isListed(found)) return { entries: found, previous: this.#decode(previous, inSnapshot) };
    const { contents, ...match } = found;
    if (parent.hasAll(contents)) return { ...match, tree };
    // Which file lost its blobs is told file by file.
    const entries = await scanner.scanDirectory(path);
    return { entries, previous: this.#decode(previous, inSnapshot) };
  }

  /** A directory of the parent snapshot; empty when it had none there. */
  async previous(tree: Id | undefined, inSnapshot: RawPath): Promise<PreviousTree> {
    const blob = tree && (await this.#load(tree, inSnapshot));
    return blob ? this.#decode(blob, inSnapshot) : PreviousTree.EMPTY;
  }

  async #load(id: Id, inSnapshot: RawPath): Promise<PreviousBlob | undefined> {
    try {
      return { id, blob: await this.#options.parent.load(id) };
    } catch (error) {
      this.#options.onError(inSnapshot, error as Error);
      return undefined;
    }
  }

  #decode({ id, blob }: PreviousBlob, inSnapshot: RawPath): PreviousTree {
    try {
      return this.#options.parent.decode(id, blob);
    } catch (error) {
      this.#options.onError(inSnapshot, error as Error);
      return PreviousTree.EMPTY;
    }
  }
}

function isListed(found: ScannedEntry[] | MatchedDirectory): found is ScannedEntry[] {
  return Array.isArray(found);
}
