/** Listings: a directory as it is at one moment, which lasts as long as somebody reads it. */

import type { CompactTree } from "../cache/compact-tree.js";
import { S_IFDIR, S_IFLNK } from "../format/file-mode.js";
import type { DirectoryListing, Entry } from "../fuse/filesystem.js";
import { treeIno, virtualIno } from "./ino.js";
import type { SnapshotView } from "./place.js";
import type { NamedEntry } from "./virtual-directory.js";

export class TreeListing implements DirectoryListing {
  readonly #tree: CompactTree;
  readonly #ino: bigint;
  readonly #view: SnapshotView;
  readonly #enter: (position: number) => Entry;

  /** @param ino st_ino of the directory */
  constructor(tree: CompactTree, ino: bigint, view: SnapshotView, enter: (position: number) => Entry) {
    this.#tree = tree;
    this.#ino = ino;
    this.#view = view;
    this.#enter = enter;
  }

  get length(): number {
    return this.#tree.length;
  }

  name(position: number): Buffer {
    return this.#tree.name(position);
  }

  ino(position: number): bigint {
    return treeIno(this.#ino, this.#view, this.#tree, position);
  }

  typeBits(position: number): number {
    return this.#tree.typeBits(position);
  }

  entry(position: number): Entry {
    return this.#enter(position);
  }
}

export class VirtualListing implements DirectoryListing {
  readonly changeable = true;
  readonly #entries: readonly NamedEntry[];
  readonly #ino: bigint;
  readonly #enter: (entry: NamedEntry) => Entry;

  /** @param ino st_ino of the directory */
  constructor(entries: readonly NamedEntry[], ino: bigint, enter: (entry: NamedEntry) => Entry) {
    this.#entries = entries;
    this.#ino = ino;
    this.#enter = enter;
  }

  get length(): number {
    return this.#entries.length;
  }

  name(position: number): Buffer {
    return this.#entries[position]!.name;
  }

  ino(position: number): bigint {
    const { name, entry } = this.#entries[position]!;
    return virtualIno(this.#ino, name, entry);
  }

  typeBits(position: number): number {
    return this.#entries[position]!.entry.kind === "link" ? S_IFLNK : S_IFDIR;
  }

  entry(position: number): Entry {
    return this.#enter(this.#entries[position]!);
  }
}
