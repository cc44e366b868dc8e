/** What a stat shows of each kind of object. */

import type { Id } from "../bytes/id.js";
import type { CompactTree } from "../cache/compact-tree.js";
import type { TreeCache } from "../cache/tree-cache.js";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../format/file-mode.js";
import { type Attributes, FOREVER, type Moment } from "../fuse/filesystem.js";
import type { EntryFacts } from "../fuse/record-writer.js";
import { FileLayout, ZERO_CHUNK_BYTES, zeroBytes } from "./file-layout.js";
import type { LinkPlace, TreePlace } from "./place.js";
import type { VirtualDirectory } from "./virtual-directory.js";

export interface OwnershipOptions {
  /** Shown as the owner of everything. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Permission bits that are taken away from everything. */
  readonly umask?: number | undefined;
  /** Everything belongs to root. */
  readonly ownerRoot?: boolean | undefined;
}

export interface TimedAttributes {
  readonly attributes: Attributes;
  readonly ttlMs: number;
}

/** What a usual filesystem gives out; `du` then agrees with where the files came from. */
const BLOCK_BYTES = 4096;
const UNITS_PER_BLOCK = BLOCK_BYTES / 512;
/** ext4 and others keep shorter targets in the inode itself. */
const INLINE_TARGET_BYTES = 60;

export class AttributeMaker {
  readonly #trees: TreeCache;
  readonly #blobSize: (id: Id) => number | undefined;
  readonly #umask: number | undefined;
  readonly #uid: number | undefined;
  readonly #gid: number | undefined;
  /** Owner of what stands in no snapshot. */
  readonly #ownUid: number;
  readonly #ownGid: number;
  /** Used again and again: a directory of a hundred thousand entries asks for as many. */
  readonly #facts: { -readonly [Fact in keyof EntryFacts]: number } = {
    mode: 0,
    nlink: 1,
    uid: 0,
    gid: 0,
    size: 0,
    blocks: 0,
    ttlMs: FOREVER,
  };

  constructor(trees: TreeCache, blobSize: (id: Id) => number | undefined, options: OwnershipOptions) {
    this.#trees = trees;
    this.#blobSize = blobSize;
    this.#umask = options.umask;
    this.#uid = options.uid ?? (options.ownerRoot ? 0 : undefined);
    this.#gid = options.gid ?? (options.ownerRoot ? 0 : undefined);
    this.#ownUid = this.#uid ?? process.getuid?.() ?? 0;
    this.#ownGid = this.#gid ?? process.getgid?.() ?? 0;
  }

  /** An object of a tree. */
  ofTree(tree: CompactTree, position: number, ino: bigint): TimedAttributes {
    const { mode, nlink, uid, gid, size, blocks, ttlMs } = this.factsOfTree(tree, position);
    const attributes = {
      ino,
      mode,
      nlink,
      uid,
      gid,
      rdev: tree.rdev(position),
      size,
      blocks,
      blockSize: BLOCK_BYTES,
      atime: tree.time(position, "atime"),
      mtime: tree.time(position, "mtime"),
      ctime: tree.time(position, "ctime"),
    };
    return { attributes, ttlMs };
  }

  /**
   * What the tree does not say as a stat shows it; good until the next call. A directory whose own tree was never seen has
   * to be asked for again: its nlink is not known.
   */
  factsOfTree(tree: CompactTree, position: number): EntryFacts {
    const facts = this.#facts;
    facts.mode = this.#mode(tree.mode(position));
    facts.nlink = Math.max(1, tree.links(position));
    facts.uid = this.#uid ?? tree.uid(position);
    facts.gid = this.#gid ?? tree.gid(position);
    facts.size = 0;
    facts.blocks = 0;
    facts.ttlMs = FOREVER;
    switch (facts.mode & S_IFMT) {
      case S_IFDIR: {
        const links = this.#directoryLinks(tree.subtree(position));
        facts.size = BLOCK_BYTES;
        facts.blocks = UNITS_PER_BLOCK;
        facts.nlink = links ?? 2;
        if (links === undefined) facts.ttlMs = 0;
        break;
      }
      case S_IFREG:
        facts.size = this.fileSize(tree, position);
        // No blob of zeros is smaller than those that are looked for.
        facts.blocks = fileBlocks(
          facts.size,
          facts.size < ZERO_CHUNK_BYTES ? 0 : zeroBytes(tree.content(position)),
        );
        break;
      case S_IFLNK:
        facts.size = tree.targetLength(position);
        facts.blocks = facts.size < INLINE_TARGET_BYTES ? 0 : UNITS_PER_BLOCK;
        break;
    }
    return facts;
  }

  /** The root of a snapshot, which has no node of its own. */
  ofSnapshotRoot(place: TreePlace, ino: bigint, ttlMs: number): TimedAttributes {
    const links = this.#directoryLinks(place.tree);
    const attributes = this.#directory(ino, links ?? 2, place.view.time, this.#uid ?? 0, this.#gid ?? 0);
    return { attributes, ttlMs: links === undefined ? 0 : ttlMs };
  }

  ofVirtualDirectory(directory: VirtualDirectory, subdirectories: number, ino: bigint): Attributes {
    return this.#directory(ino, 2 + subdirectories, directory.changed, this.#ownUid, this.#ownGid);
  }

  ofLink(link: Pick<LinkPlace, "target" | "time">, ino: bigint): Attributes {
    return {
      ino,
      mode: S_IFLNK | 0o777,
      nlink: 1,
      uid: this.#ownUid,
      gid: this.#ownGid,
      rdev: 0,
      size: link.target.length,
      blocks: 0,
      blockSize: BLOCK_BYTES,
      atime: link.time,
      mtime: link.time,
      ctime: link.time,
    };
  }

  /**
   * The sum of the blobs, which is what can be read; the writer's number where the index does not know them all.
   * They differ when a file grew or shrank while it was read.
   */
  fileSize(tree: CompactTree, position: number): number {
    const count = tree.contentCount(position);
    if (count === 0) return 0;
    // Not 0 for a blob that is missing: nobody would notice.
    if (count === 1) return this.#blobSize(tree.firstContent(position)) ?? Math.max(1, tree.size(position));
    return new FileLayout(tree.content(position), tree.size(position), this.#blobSize).size;
  }

  #directory(ino: bigint, nlink: number, time: Moment, uid: number, gid: number): Attributes {
    return {
      ino,
      mode: this.#mode(S_IFDIR | 0o555),
      nlink,
      uid,
      gid,
      rdev: 0,
      size: BLOCK_BYTES,
      blocks: UNITS_PER_BLOCK,
      blockSize: BLOCK_BYTES,
      atime: time,
      mtime: time,
      ctime: time,
    };
  }

  #directoryLinks(subtree: Id | undefined): number | undefined {
    if (!subtree) return 2;
    const subdirectories = this.#trees.subdirectories(subtree);
    return subdirectories === undefined ? undefined : 2 + subdirectories;
  }

  /** With a umask, a tree that stored no mode (rustic without metadata) becomes usable as well. */
  #mode(mode: number): number {
    if (this.#umask === undefined) return mode;
    const type = mode & S_IFMT;
    const bits = mode & 0o7777 || (type === S_IFDIR ? 0o777 : 0o666);
    return type | (bits & ~this.#umask);
  }
}

/** Never 0 for a file with content: `tar -S` takes such a file for one great hole. */
function fileBlocks(size: number, zeros: number): number {
  if (size === 0) return 0;
  return Math.max(1, Math.ceil((size - zeros) / BLOCK_BYTES)) * UNITS_PER_BLOCK;
}
