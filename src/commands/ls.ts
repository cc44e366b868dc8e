import { posix } from "node:path";
import { bytesOfText } from "../bytes/utf8.js";
import { UsageError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { findSnapshot, resolveSubfolder, type SnapshotFilter } from "../repository/snapshots.js";
import { TreeCursor, type WalkedNode } from "../repository/tree-cursor.js";
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

/** Gets a listing piece by piece, in the order of the trees, while it loads. */
export interface ListingWriter {
  start(snapshot: LoadedSnapshot): void;
  /**
   * A node. What is returned is awaited, so that a slow reader slows the walk down.
   *
   * @param isOnTheWay a directory on the way to what was asked for, which was not asked for itself
   */
  write(walked: WalkedNode, isOnTheWay: boolean): Promise<void> | undefined;
  /** The end of a directory; comes for each one that was written. */
  leave(): void;
  end(): void;
}

/**
 * Finds the snapshot and lists what is in it, directory by directory.
 *
 * @throws {UsageError} if a directory is not absolute
 * @throws {NotFoundError} if there is no such snapshot or folder
 */
export async function runLs(session: Session, options: LsOptions, writer: ListingWriter): Promise<void> {
  for (const directory of options.directories) {
    if (!directory.startsWith("/"))
      throw new UsageError("All path filters must be absolute, starting with a forward slash '/'");
  }
  const { repository, signal } = session;
  const { snapshot, subfolder } = await findSnapshot(repository, options.snapshot, options.filter, {
    signal,
  });
  await session.loadIndex();
  const root = await resolveSubfolder(repository, snapshot.tree, subfolder, signal);
  writer.start(snapshot);
  const wanted = new DirectoryFilter(options.directories, options.recursive);
  if (wanted.isEverything) await writeNodes(new TreeCursor(repository, root, { signal }), undefined, writer);
  else {
    const descend = ({ path }: WalkedNode) => wanted.descends(path);
    // Most of the directories that are met on the way are not gone into.
    const cursor = new TreeCursor(repository, root, { signal, descend, expects: () => options.recursive });
    await writeNodes(cursor, wanted, writer);
  }
  writer.end();
}

async function writeNodes(
  cursor: TreeCursor,
  wanted: DirectoryFilter | undefined,
  writer: ListingWriter,
): Promise<void> {
  /** Depths of the directories that were written and not left yet. */
  const entered: number[] = [];
  for (;;) {
    const next = cursor.next();
    const walked = next instanceof Promise ? await next : next;
    if (!walked) break;
    while (entered.length > 0 && walked.depth <= entered.at(-1)!) {
      entered.pop();
      writer.leave();
    }
    const isWithin = wanted?.contains(walked.path) ?? true;
    if (!isWithin && !wanted?.leadsTo(walked.path)) continue;
    const full = writer.write(walked, !isWithin);
    if (full) await full;
    if (walked.node.type === "dir") entered.push(walked.depth);
  }
  for (const _ of entered) writer.leave();
}

/** Which paths (without the slash in front) the directories of the command line mean. */
class DirectoryFilter {
  readonly #directories: readonly Buffer[];
  readonly #recursive: boolean;

  constructor(directories: readonly string[], recursive: boolean) {
    this.#directories = directories.map((path) =>
      bytesOfText(posix.normalize(path).replace(/^\/+|\/+$/g, "")),
    );
    this.#recursive = recursive;
  }

  contains(path: Buffer): boolean {
    return this.isEverything || this.#directories.some((one) => isSameOrBelow(path, one));
  }

  /** True for the directories themselves, too. */
  leadsTo(path: Buffer): boolean {
    return this.#directories.some((one) => isSameOrBelow(one, path));
  }

  descends(path: Buffer): boolean {
    return this.isEverything || this.leadsTo(path) || (this.#recursive && this.contains(path));
  }

  get isEverything(): boolean {
    return this.#directories.length === 0;
  }
}

function isBelow(path: Buffer, directory: Buffer): boolean {
  return (
    path.length > directory.length &&
    path[directory.length] === 0x2f &&
    path.subarray(0, directory.length).equals(directory)
  );
}

function isSameOrBelow(path: Buffer, directory: Buffer): boolean {
  return directory.length === 0 || path.equals(directory) || isBelow(path, directory);
}
