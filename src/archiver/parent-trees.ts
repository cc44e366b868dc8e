import { formatId, type Id, type IdList } from "../bytes/id.js";
import { messageOf } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { decodeTree } from "../format/tree.js";
import type { BlobStore } from "./blob-store.js";
import type { FileRecord, FileTime } from "./file-record.js";
import { PreviousTree } from "./previous-tree.js";

export interface ParentTreesOptions {
  readonly store: BlobStore;
  /** Do not take a file for changed because its change time differs. */
  readonly ignoreCtime: boolean;
  /** Nor because its inode number does. */
  readonly ignoreInode: boolean;
  readonly signal: AbortSignal | undefined;
}

/** The trees of the parent snapshot, and what they spare the backup. */
export class ParentTrees {
  readonly #options: ParentTreesOptions;

  constructor(options: ParentTreesOptions) {
    this.#options = options;
  }

  /** The blob of a tree. @throws {Error} when it cannot be read */
  async load(tree: Id): Promise<Uint8Array> {
    const { store, signal } = this.#options;
    try {
      return await store.inOrder.loadBlob("tree", tree, signal);
    } catch (error) {
      throw this.#failure(tree, error);
    }
  }

  /** The nodes in the blob of a tree. @throws {Error} when it cannot be decoded */
  decode(tree: Id, blob: Uint8Array): PreviousTree {
    try {
      return new PreviousTree(decodeTree(blob));
    } catch (error) {
      throw this.#failure(tree, error);
    }
  }

  /** True when a file is so much like its node that it need not be read. */
  isUnchanged(record: FileRecord, previous: TreeNode): boolean {
    const { stat } = record;
    if (previous.type !== "file" || stat.size !== previous.size || !isMoment(stat.mtime, previous.mtime))
      return false;
    // A file system that makes up inode numbers makes up change times as well.
    const { ignoreCtime, ignoreInode } = this.#options;
    if (!ignoreCtime && !ignoreInode && !isMoment(stat.ctime, previous.ctime)) return false;
    return ignoreInode || stat.ino === previous.inode;
  }

  /** True when the index knows every blob of a file. */
  hasContent(previous: TreeNode): boolean {
    return previous.content === null || this.hasAll(previous.content);
  }

  /** True when the index knows all of these blobs of files. */
  hasAll(content: IdList): boolean {
    return this.#options.store.index.hasAll("data", content);
  }

  #failure(tree: Id, error: unknown): Error {
    const reason = this.#options.store.index.has("tree", tree)
      ? `could not be loaded; the repository could be damaged: ${messageOf(error)}`
      : "is not known; the repository could be damaged, run `repair index` to try to repair it";
    return new Error(`tree ${formatId(tree)} ${reason}`, { cause: error });
  }
}

function isMoment(a: FileTime, b: FileTime): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}
