import { posix } from "node:path";
import { UsageError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { findSnapshot, resolveSubfolder, type SnapshotFilter } from "../repository/snapshots.js";
import { type WalkedNode, walkTree } from "../repository/walk-tree.js";
import type { Session } from "./session.js";

export interface LsOptions {
  /** "latest", an ID or the beginning of one, with ":folder" behind it if only that is meant. */
  readonly snapshot: string;
  /** What `latest` may be. */
  readonly filter: SnapshotFilter;
  /** Absolute; only these directories and what lies directly in them. Everything when empty. */
  readonly directories: readonly string[];
  /** With `directories`: also what lies deeper. */
  readonly recursive: boolean;
}

export interface Listing {
  readonly snapshot: LoadedSnapshot;
  readonly nodes: AsyncIterable<ListedNode>;
}

/** One step of a walk, in the order of the trees. */
export type ListedNode =
  | {
      readonly type: "node";
      /** Raw bytes, "/" in front. */
      readonly path: Buffer;
      readonly node: TreeNode;
      /** A directory on the way to what was asked for, which was not asked for itself. */
      readonly isOnTheWay: boolean;
    }
  /** The end of a directory; comes for each one that was handed out. */
  | { readonly type: "leave" };

/**
 * Finds the snapshot and lists what is in it, directory by directory, while it loads.
 *
 * @throws {UsageError} if a directory is not absolute
 * @throws {NotFoundError} if there is no such snapshot or folder
 */
export async function runLs(session: Session, options: LsOptions): Promise<Listing> {
  for (const directory of options.directories) {
    if (!directory.startsWith("/"))
      throw new UsageError("All path filters must be absolute, starting with a forward slash '/'");
  }
  const { repository, signal } = session;
  const { snapshot, subfolder } = await findSnapshot(repository, options.snapshot, options.filter, {
    signal,
  });
  await repository.loadIndex({ signal });
  const root = await resolveSubfolder(repository, snapshot.tree, subfolder, signal);
  const wanted = new DirectoryFilter(options.directories, options.recursive);
  const descend = ({ path }: WalkedNode) => wanted.descends(path);
  return { snapshot, nodes: listed(walkTree(repository, root, { signal, descend }), wanted) };
}

async function* listed(
  walk: AsyncIterable<WalkedNode>,
  wanted: DirectoryFilter,
): AsyncGenerator<ListedNode, void, undefined> {
  const entered: Buffer[] = [];
  for await (const { path, node } of walk) {
    while (entered.length > 0 && !isBelow(path, entered.at(-1)!)) {
      entered.pop();
      yield { type: "leave" };
    }
    const within = wanted.contains(path);
    const onTheWay = wanted.leadsTo(path);
    if (within || onTheWay) {
      yield { type: "node", path: Buffer.concat([SLASH, path]), node, isOnTheWay: !within };
      if (node.type === "dir") entered.push(path);
    }
  }
  for (const _ of entered) yield { type: "leave" };
}

const SLASH = Buffer.from("/");

function isBelow(path: Buffer, directory: Buffer): boolean {
  return (
    path.length > directory.length &&
    path[directory.length] === 0x2f &&
    path.subarray(0, directory.length).equals(directory)
  );
}

/** Which paths (without the slash in front) the directories of the command line mean. */
class DirectoryFilter {
  readonly #directories: readonly Buffer[];
  readonly #recursive: boolean;

  constructor(directories: readonly string[], recursive: boolean) {
    this.#directories = directories.map((path) =>
      Buffer.from(posix.normalize(path).replace(/^\/+|\/+$/g, "")),
    );
    this.#recursive = recursive;
  }

  contains(path: Buffer): boolean {
    return this.#isEverything || this.#directories.some((one) => isSameOrBelow(path, one));
  }

  /** True for the directories themselves, too. */
  leadsTo(path: Buffer): boolean {
    return this.#directories.some((one) => isSameOrBelow(one, path));
  }

  descends(path: Buffer): boolean {
    return this.#isEverything || this.leadsTo(path) || (this.#recursive && this.contains(path));
  }

  get #isEverything(): boolean {
    return this.#directories.length === 0;
  }
}

function isSameOrBelow(path: Buffer, directory: Buffer): boolean {
  return directory.length === 0 || path.equals(directory) || isBelow(path, directory);
}
