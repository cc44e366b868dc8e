/** Listings: a directory as it is at one moment, which lasts as long as somebody reads it. */

import { S_IFDIR, S_IFLNK } from "../format/file-mode.js";
import type { DirectoryListing, Entry, RecordTarget } from "../fuse/filesystem.js";
import { virtualIno } from "./ino.js";
import type { OpenTree, TreeEntries } from "./tree-entries.js";
import type { NamedEntry } from "./virtual-directory.js";

export class TreeListing implements DirectoryListing {
  readonly #directory: OpenTree;
  readonly #entries: TreeEntries;

  constructor(directory: OpenTree, entries: TreeEntries) {
    this.#directory = directory;
    this.#entries = entries;
  }

  get length(): number {
    return this.#directory.tree.length;
  }

  name(position: number): Buffer {
    return this.#directory.tree.name(position);
  }

  ino(position: number): bigint {
    return this.#entries.ino(this.#directory, position);
  }

  typeBits(position: number): number {
    return this.#directory.tree.typeBits(position);
  }

  entry(position: number): Entry {
    return this.#entries.enter(this.#directory, position);
  }

  writeRecords(position: number, target: RecordTarget): number {
    return this.#entries.writeRecords(this.#directory, position, target);
  }
}

export class VirtualListing implements DirectoryListing {
  readonly changeable = true;
  readonly #entries: readonly NamedEntry[];
  readonly #ino: bigint;
  readonly #enter: (entry: NamedEntry) => Entry | undefined;

  /** @param ino st_ino of the directory */
  constructor(entries: readonly NamedEntry[], ino: bigint, enter: (entry: NamedEntry) => Entry | undefined) {
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

  entry(position: number): Entry | undefined {
    return this.#enter(this.#entries[position]!);
  }
}
