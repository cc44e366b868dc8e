import { awaitedLater } from "../async/awaited-later.js";
import { equalIds, type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, UsageError } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import type { Timestamp } from "../format/timestamp.js";
import { encodeTree } from "../format/tree.js";
import { loadTree } from "../repository/load-tree.js";
import { findSnapshot, resolveSubfolder } from "../repository/snapshots.js";
import { joinPath, TreeCursor } from "../repository/tree-cursor.js";
import { visitTrees } from "../repository/walk-tree.js";
import type { Session } from "./session.js";

export interface DiffOptions {
  /** Snapshot arguments, each may have ":folder" behind it. */
  readonly source: string;
  readonly target: string;
  /** Also tell of what differs in metadata only. */
  readonly metadata: boolean;
}

/** What differs at a path, in restic's letters: "+", "-", "T" type, "M" content, "M?" content alone, "U" metadata. */
export interface DiffChange {
  /** Raw bytes, "/" in front; directories have one behind, too. */
  readonly path: Buffer;
  readonly modifier: string;
}

/** What only one side has. */
export interface DiffSide {
  files: number;
  dirs: number;
  others: number;
  dataBlobs: number;
  treeBlobs: number;
  /** Plaintext of those blobs. */
  bytes: number;
}

export interface DiffSummary {
  /** Files whose content differs. */
  readonly changedFiles: number;
  readonly added: DiffSide;
  readonly removed: DiffSide;
}

export interface DiffWatch {
  readonly onStart: (source: LoadedSnapshot, target: LoadedSnapshot) => void;
  /** In the order of the trees. What is returned is awaited. */
  readonly onChange: (change: DiffChange) => Promise<void> | undefined;
}

/**
 * Compares two snapshots, or folders in them. Directories with the same tree are equal and not compared; only what
 * their blobs are has to be known in the end, to tell which ones the other side has not.
 */
export async function runDiff(
  session: Session,
  options: DiffOptions,
  watch: DiffWatch,
): Promise<DiffSummary> {
  const { repository, signal } = session;
  const source = await findSnapshot(repository, options.source, undefined, { signal });
  const target = await findSnapshot(repository, options.target, undefined, { signal });
  watch.onStart(source.snapshot, target.snapshot);
  await repository.loadIndex({ signal });
  const before = await resolveSubfolder(repository, source.snapshot.tree, source.subfolder, signal);
  const after = await resolveSubfolder(repository, target.snapshot.tree, target.subfolder, signal);
  const comparison = new Comparison(session, options.metadata, watch.onChange);
  return comparison.run(before, after);
}

/** One side of the comparison: counts, and the blobs that it has outside of common directories. */
class Side {
  readonly counts: DiffSide = { files: 0, dirs: 0, others: 0, dataBlobs: 0, treeBlobs: 0, bytes: 0 };
  readonly blobs: Readonly<Record<BlobType, Map<string, Id>>> = { data: new Map(), tree: new Map() };

  addBlob(type: BlobType, id: Id): void {
    this.blobs[type].set(idKey(id), id);
  }

  addBlobsOf({ type, content, subtree }: TreeNode): void {
    if (type === "file") for (const id of content ?? []) this.addBlob("data", id);
    if (type === "dir" && subtree) this.addBlob("tree", subtree);
  }

  countNode({ type }: TreeNode): void {
    this.counts[type === "file" ? "files" : type === "dir" ? "dirs" : "others"]++;
  }
}

interface Pair {
  readonly path: Buffer;
  readonly before: Id;
  readonly after: Id;
}

interface LoadedPair {
  readonly before: readonly TreeNode[];
  readonly after: readonly TreeNode[];
}

/** Pairs of directories that load while those before them are compared. */
const PAIRS_AHEAD = 8;

class Comparison {
  readonly #session: Session;
  readonly #metadata: boolean;
  readonly #onChange: DiffWatch["onChange"];
  readonly #removed = new Side();
  readonly #added = new Side();
  /** Trees that stand at the same path on both sides. */
  readonly #common: Id[] = [];
  #changedFiles = 0;

  constructor(session: Session, metadata: boolean, onChange: DiffWatch["onChange"]) {
    this.#session = session;
    this.#metadata = metadata;
    this.#onChange = onChange;
  }

  async run(before: Id, after: Id): Promise<DiffSummary> {
    this.#removed.addBlob("tree", before);
    this.#added.addBlob("tree", after);
    if (equalIds(before, after)) this.#common.push(before);
    else await this.#compare({ path: ROOT, before, after }, undefined);
    await this.#countBlobs();
    return {
      changedFiles: this.#changedFiles,
      added: this.#added.counts,
      removed: this.#removed.counts,
    };
  }

  async #load({ before, after }: Pair): Promise<LoadedPair> {
    const { repository, signal } = this.#session;
    const [left, right] = await Promise.all([
      loadTree(repository, before, signal),
      loadTree(repository, after, signal),
    ]);
    return { before: left, after: right };
  }

  async #compare(pair: Pair, loading: Promise<LoadedPair> | undefined): Promise<void> {
    throwIfAborted(this.#session.signal);
    const { before, after } = await (loading ?? this.#load(pair));
    const entries = merge(before, after);
    const ahead = new PairsAhead(entries, pair.path, (next) => this.#load(next));
    for (const { left, right } of entries) {
      if (left && right) await this.#compareNodes(joinPath(pair.path, left.name), left, right, ahead);
      else if (left) await this.#onlyIn(this.#removed, "-", pair.path, left);
      else if (right) await this.#onlyIn(this.#added, "+", pair.path, right);
    }
  }

  async #compareNodes(path: Buffer, left: TreeNode, right: TreeNode, ahead: PairsAhead): Promise<void> {
    this.#removed.addBlobsOf(left);
    this.#added.addBlobsOf(right);
    const modifier = this.#modifier(left, right);
    if (modifier !== "") await this.#tell(modifier, path, right);
    const pair = directoryPair(path, left, right);
    if (!pair) return;
    if (equalIds(pair.before, pair.after)) this.#common.push(pair.before);
    else await this.#compare(pair, ahead.take(pair));
  }

  #modifier(left: TreeNode, right: TreeNode): string {
    const type = left.type === right.type ? "" : "T";
    if (left.type === "file" && right.type === "file" && !sameContent(left, right)) {
      this.#changedFiles++;
      // All that a backup looks at is the same: it is the content that has changed by itself.
      return equalNodes({ ...left, content: null }, { ...right, content: null }) ? `${type}M?` : `${type}M`;
    }
    return this.#metadata && !equalNodes(left, right) ? `${type}U` : type;
  }

  async #onlyIn(side: Side, modifier: string, directory: Buffer, node: TreeNode): Promise<void> {
    const { repository, signal } = this.#session;
    const take = async (path: Buffer, one: TreeNode) => {
      side.addBlobsOf(one);
      side.countNode(one);
      await this.#tell(modifier, path, one);
    };
    const path = joinPath(directory, node.name);
    await take(path, node);
    if (node.type !== "dir" || !node.subtree) return;
    const cursor = new TreeCursor(repository, node.subtree, { signal });
    try {
      for (;;) {
        const next = cursor.next();
        const walked = next instanceof Promise ? await next : next;
        if (!walked) return;
        await take(joinPath(path, walked.path), walked.node);
      }
    } finally {
      cursor.close();
    }
  }

  async #tell(modifier: string, path: Buffer, { type }: TreeNode): Promise<void> {
    const parts = type === "dir" ? [SLASH, path, SLASH] : [SLASH, path];
    const full = this.#onChange({ path: Buffer.concat(parts), modifier });
    if (full) await full;
  }

  /** Counts the blobs that one side has and the other has not, at the same place or anywhere else. */
  async #countBlobs(): Promise<void> {
    const { repository, signal } = this.#session;
    const sides = [this.#removed, this.#added] as const;
    for (const type of ["data", "tree"] as const) {
      const [left, right] = sides.map(({ blobs }) => blobs[type]) as [Map<string, Id>, Map<string, Id>];
      for (const key of left.keys()) if (right.delete(key)) left.delete(key);
    }
    const forget = (type: BlobType, id: Id) => {
      for (const { blobs } of sides) blobs[type].delete(idKey(id));
    };
    if (sides.some(({ blobs }) => blobs.data.size + blobs.tree.size > 0)) {
      await visitTrees(
        repository,
        this.#common,
        (id, tree) => {
          if ("error" in tree) throw tree.error;
          forget("tree", id);
          for (const blob of tree.contents) forget("data", blob);
        },
        { signal, engine: repository.engine },
      );
    }
    for (const { blobs, counts } of sides) {
      counts.dataBlobs = blobs.data.size;
      counts.treeBlobs = blobs.tree.size;
      for (const type of ["data", "tree"] as const)
        for (const id of blobs[type].values()) counts.bytes += repository.blobSize(type, id) ?? 0;
    }
  }
}

const ROOT = Buffer.alloc(0);
const SLASH = Buffer.from("/");

interface Entry {
  readonly left: TreeNode | undefined;
  readonly right: TreeNode | undefined;
}

/** The nodes of two directories by name, in the order of the names. */
function merge(before: readonly TreeNode[], after: readonly TreeNode[]): Entry[] {
  const entries = new Map<
    string,
    { name: Buffer; left: TreeNode | undefined; right: TreeNode | undefined }
  >();
  for (const left of before)
    entries.set(left.name.toString("latin1"), { name: left.name, left, right: undefined });
  for (const right of after) {
    const entry = entries.get(right.name.toString("latin1"));
    if (entry) entry.right = right;
    else entries.set(right.name.toString("latin1"), { name: right.name, left: undefined, right });
  }
  return [...entries.values()].sort((a, b) => Buffer.compare(a.name, b.name));
}

function directoryPair(path: Buffer, left: TreeNode, right: TreeNode): Pair | undefined {
  if (left.type !== "dir" || right.type !== "dir" || !left.subtree || !right.subtree) return undefined;
  return { path, before: left.subtree, after: right.subtree };
}

/** Loads the next pairs of a directory while earlier ones are compared. */
class PairsAhead {
  readonly #pairs: readonly Pair[];
  /** So many of them are loaded, or loading. */
  #begun = 0;
  readonly #loading: Promise<LoadedPair>[] = [];
  readonly #load: (pair: Pair) => Promise<LoadedPair>;

  constructor(entries: readonly Entry[], directory: Buffer, load: (pair: Pair) => Promise<LoadedPair>) {
    this.#load = load;
    this.#pairs = entries.flatMap(({ left, right }) => {
      const pair = left && right && directoryPair(joinPath(directory, left.name), left, right);
      return pair && !equalIds(pair.before, pair.after) ? [pair] : [];
    });
  }

  /** The pairs are taken in their order. */
  take(pair: Pair): Promise<LoadedPair> {
    this.#fill();
    const loading = this.#loading.shift() ?? this.#load(pair);
    this.#fill();
    return loading;
  }

  #fill(): void {
    while (this.#loading.length < PAIRS_AHEAD && this.#begun < this.#pairs.length)
      this.#loading.push(awaitedLater(this.#load(this.#pairs[this.#begun++]!)));
  }
}

function sameContent(left: TreeNode, right: TreeNode): boolean {
  return Buffer.compare(left.content?.bytes ?? ROOT, right.content?.bytes ?? ROOT) === 0;
}

/** Whether two nodes of one name are the same in everything, times as moments. */
function equalNodes(left: TreeNode, right: TreeNode): boolean {
  return encodeTree([inUtc(left)]).equals(encodeTree([inUtc(right)]));
}

function inUtc(node: TreeNode): TreeNode {
  const utc = (time: Timestamp) => ({ ...time, zoneMinutes: 0 });
  return { ...node, mtime: utc(node.mtime), atime: utc(node.atime), ctime: utc(node.ctime) };
}

/** @throws {UsageError} unless there are two of them */
export function requireTwo(names: readonly string[]): readonly [string, string] {
  const [source, target] = names;
  if (source === undefined || target === undefined || names.length > 2)
    throw new UsageError("specify two snapshot IDs");
  return [source, target];
}
