/** What stands behind a node that cannot be found by its position alone: directories and virtual objects. */

import type { Id } from "../bytes/id.js";
import type { Moment } from "../fuse/filesystem.js";
import type { VirtualDirectory } from "./virtual-directory.js";

/** The snapshot that a tree is seen in. */
export interface SnapshotView {
  /** Of the snapshot: seed of the st_ino of its hard links. */
  readonly ino: bigint;
  readonly time: Moment;
}

interface Keyed {
  /** Of the node table, virtual objects only. */
  readonly key?: string;
  /** Name in the virtual directory that it was found in. */
  readonly name?: Buffer;
}

/** A directory of a snapshot. */
export interface TreePlace extends Keyed {
  readonly kind: "tree";
  /** `undefined` for the rare directory whose writer stored none: it is shown empty. */
  readonly tree: Id | undefined;
  readonly view: SnapshotView;
  /** The root of a snapshot has no node of its own that would give it attributes. */
  readonly isSnapshotRoot: boolean;
}

export interface VirtualPlace extends Keyed {
  readonly kind: "virtual";
  readonly directory: VirtualDirectory;
}

export interface LinkPlace extends Keyed {
  readonly kind: "link";
  readonly target: Buffer;
  readonly time: Moment;
}

export type Place = TreePlace | VirtualPlace | LinkPlace;
