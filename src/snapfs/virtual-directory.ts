/**
 * A directory that stands in no tree: the ones above the snapshots, and whatever view of them may come. To add a view
 * is to write one of these and to put it into another; nothing else has to know it.
 */

import type { LoadedSnapshot } from "../format/snapshot.js";
import type { Answer, Moment } from "../fuse/filesystem.js";

export type VirtualEntry =
  | { readonly kind: "directory"; readonly directory: VirtualDirectory }
  | { readonly kind: "link"; readonly target: Buffer; readonly time: Moment }
  /** The root tree of a snapshot. */
  | { readonly kind: "snapshot"; readonly snapshot: LoadedSnapshot };

export interface NamedEntry {
  readonly name: Buffer;
  readonly entry: VirtualEntry;
}

export interface VirtualDirectory {
  /** When the list has last changed. */
  readonly changed: Moment;
  /** How many of its entries are directories or snapshots: a stat shows two more as nlink. */
  readonly subdirectories: number;
  lookup(name: Buffer): Answer<VirtualEntry | undefined>;
  /** In the order of the names' bytes. */
  list(): Answer<readonly NamedEntry[]>;
}
