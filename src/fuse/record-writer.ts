import { type Addon, loadAddon } from "../native/addon.js";
import { DIRECTORY_FACTS } from "../native/tree-functions.js";
import type { NodeId, RecordTarget } from "./filesystem.js";

/** Records that are written in one go; more do not fit into a reply of 128 KiB. */
const MAX_RECORDS = 1024;

/** What of an entry does not stand in its tree as a stat shows it. */
export interface EntryFacts {
  readonly ttlMs: number;
  readonly size: number;
  readonly blocks: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
}

/** A stretch of a directory whose tree is in memory. */
export interface TreeStretch {
  /** Memory of a CompactTree. */
  readonly tree: Uint8Array;
  readonly position: number;
  /** st_ino of the directory. */
  readonly ino: bigint;
  /** st_ino of the snapshot, for hard links. */
  readonly snapshotIno: bigint;
}

/**
 * Writes the records of directories many at a time, straight from the memory of their trees: first `fit`, then `note` for
 * each entry (READDIRPLUS only), then `write`. It works with the same 72 KiB again and again.
 */
export class RecordWriter {
  readonly #addon: Addon;
  readonly #inos = new BigUint64Array(MAX_RECORDS);
  readonly #facts = new Float64Array(MAX_RECORDS * DIRECTORY_FACTS);

  /** `undefined` where there is no addon. */
  static create(): RecordWriter | undefined {
    const addon = loadAddon();
    return addon && new RecordWriter(addon);
  }

  private constructor(addon: Addon) {
    this.#addon = addon;
  }

  /** How many entries can be written now. 0 when the first does not fit or has no name that the kernel would take. */
  fit({ tree, position, ino, snapshotIno }: TreeStretch, { at, limit, plus }: RecordTarget): number {
    return this.#addon.directoryInos(tree, position, limit - at, plus, ino, snapshotIno, this.#inos);
  }

  /** st_ino of one of those that fit, counted from the beginning of the stretch. */
  ino(i: number): bigint {
    return this.#inos[i]!;
  }

  note(i: number, nodeId: NodeId, entry: EntryFacts): void {
    const at = i * DIRECTORY_FACTS;
    const facts = this.#facts;
    facts[at] = nodeId;
    facts[at + 1] = entry.ttlMs;
    facts[at + 2] = entry.size;
    facts[at + 3] = entry.blocks;
    facts[at + 4] = entry.mode;
    facts[at + 5] = entry.nlink;
    facts[at + 6] = entry.uid;
    facts[at + 7] = entry.gid;
  }

  /** Writes so many. */
  write({ tree, position }: TreeStretch, count: number, target: RecordTarget): void {
    const { bytes, at, generation, plus } = target;
    const facts = plus ? this.#facts : undefined;
    target.at = this.#addon.directoryRecords(bytes, at, tree, position, count, generation, this.#inos, facts);
  }
}
