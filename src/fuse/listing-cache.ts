/**
 * Listings of directories that are being read. A directory of 100,000 names takes some 500 requests, and they must be
 * answered from one listing: for speed, and so that no name comes twice or never when the directory changes meanwhile.
 *
 * The kernel opens no directories here (NO_OPENDIR_SUPPORT), so there is no handle that would tell streams apart.
 * Instead the cookie of an entry carries a generation beside its position. Directories that can change get a new one
 * for each stream. Those that cannot share generation 0, because the kernel's own cache of a directory is completed
 * only by a stream that goes on with the cookies of the one that began it.
 */

import { when } from "../async/when.js";
import { type Answer, type DirectoryListing, type Filesystem, type NodeId, ROOT_NODE } from "./filesystem.js";

export interface DirectoryStream {
  readonly node: NodeId;
  /** 0 for directories that cannot change. */
  readonly generation: number;
  readonly listing: DirectoryListing;
  /** st_ino of "." and "..". */
  readonly ino: bigint;
  readonly parentIno: bigint;
}

const MAX_STREAMS = 256;
/** Of all the streams together. */
const MAX_NAMES = 2_000_000;
/** Streams that are kept although they have ended, and the names of all of them together; the last one in any case. */
const MAX_ENDED_STREAMS = 16;
const MAX_ENDED_NAMES = 100_000;
const MAX_GENERATION = 0x7fff_ffff;

export class ListingCache {
  readonly #filesystem: Filesystem;
  /** The least recently used one first. */
  readonly #streams = new Map<string, DirectoryStream>();
  /** Those of them that somebody has read to the end, the one that ended first in front. */
  readonly #ended = new Set<DirectoryStream>();
  #names = 0;
  #lastGeneration = 0;

  constructor(filesystem: Filesystem) {
    this.#filesystem = filesystem;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The stream that a cookie belongs to; a new one at the beginning of a directory, or when it has been dropped. */
  at(node: NodeId, generation: number, position: number): Answer<DirectoryStream> {
    const key = keyOf(node, generation);
    const known = position === 0 ? undefined : this.#streams.get(key);
    if (known) {
      this.#streams.delete(key);
      this.#streams.set(key, known);
      return known;
    }
    return when(this.#filesystem.list(node), (listing) => {
      return this.#keep(streamOf(this.#filesystem, node, listing, this.#generation(listing, generation)));
    });
  }

  /**
   * The end of the directory has been read. Others may have come as far as the kernel's cache of it goes, and will ask for
   * what follows when that cache has been given up: of a directory that can change nobody else knows what it was.
   */
  onEnd(stream: DirectoryStream): void {
    if (!stream.listing.changeable) {
      this.#drop(stream);
      return;
    }
    if (this.#streams.get(keyOf(stream.node, stream.generation)) !== stream) return;
    this.#ended.delete(stream);
    this.#ended.add(stream);
    let names = 0;
    for (const { listing } of this.#ended) names += listing.length;
    for (const oldest of this.#ended) {
      if (oldest === stream || (this.#ended.size <= MAX_ENDED_STREAMS && names <= MAX_ENDED_NAMES)) break;
      names -= oldest.listing.length;
      this.#drop(oldest);
    }
  }

  #drop(stream: DirectoryStream): void {
    const key = keyOf(stream.node, stream.generation);
    if (this.#streams.get(key) !== stream) return;
    this.#streams.delete(key);
    this.#ended.delete(stream);
    this.#names -= stream.listing.length;
  }

  #generation(listing: DirectoryListing, before: number): number {
    if (!listing.changeable) return 0;
    // A stream whose listing was dropped goes on under its own number, or its cookies would end nowhere.
    if (before !== 0) return before;
    this.#lastGeneration = this.#lastGeneration === MAX_GENERATION ? 1 : this.#lastGeneration + 1;
    return this.#lastGeneration;
  }

  #keep(stream: DirectoryStream): DirectoryStream {
    const key = keyOf(stream.node, stream.generation);
    const before = this.#streams.get(key);
    if (before) this.#drop(before);
    this.#streams.set(key, stream);
    this.#names += stream.listing.length;
    for (const oldest of this.#streams.values()) {
      if (oldest === stream || (this.#streams.size <= MAX_STREAMS && this.#names <= MAX_NAMES)) break;
      this.#drop(oldest);
    }
    return stream;
  }
}

/** A stream of a listing. @throws what the filesystem throws for nodes that it does not know any more */
export function streamOf(
  filesystem: Filesystem,
  node: NodeId,
  listing: DirectoryListing,
  generation: number,
): DirectoryStream {
  const ino = filesystem.ino(node);
  const parentIno = node === ROOT_NODE ? ino : filesystem.ino(filesystem.parent(node));
  return { node, generation, listing, ino, parentIno };
}

function keyOf(node: NodeId, generation: number): string {
  return `${node}/${generation}`;
}
