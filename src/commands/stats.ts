import { type Id, IdList, idKey } from "../bytes/id.js";
import { IdSet } from "../bytes/id-set.js";
import { type Engine, SEAL_OVERHEAD } from "../engine/engine.js";
import { NotFoundError, throwIfAborted } from "../errors.js";
import type { BlobType } from "../format/blob.js";
import type { TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { countTrees } from "../repository/count-trees.js";
import type { SnapshotFilter } from "../repository/snapshots.js";
import { TreeCursor } from "../repository/tree-cursor.js";
import { type VisitedTree, visitTrees } from "../repository/walk-tree.js";
import { type IgnoredSnapshot, selectSnapshots } from "./select-snapshots.js";
import type { Session } from "./session.js";
import { SkimmedTree } from "./skimmed-tree.js";

export const STATS_MODES = ["restore-size", "files-by-contents", "blobs-per-file", "raw-data"] as const;
export type StatsMode = (typeof STATS_MODES)[number];

export interface StatsOptions {
  /** Snapshot arguments; all snapshots that pass the filter when empty. */
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
  readonly mode: StatsMode;
}

/** What a mode does not count is 0. */
export interface Stats {
  readonly snapshots: number;
  /** Bytes: of files, or as stored with `raw-data`. */
  totalSize: number;
  /** All that is in the snapshots, directories as well; only files by their content in the other modes. */
  totalFiles: number;
  totalBlobs: number;
  /** Bytes that `raw-data` would be without compression. */
  uncompressedSize: number;
  /** Of what is compressed: stored, and as it would be without. */
  compressedBlobsSize: number;
  compressedBlobsUncompressedSize: number;
}

/** Counters that are kept up to date. */
export interface StatsProgress {
  trees: number;
  /** No more than this; 0 before it is known. */
  treesTotal: number;
}

export interface StatsWatch {
  readonly progress?: StatsProgress;
  readonly onIgnored?: (ignored: IgnoredSnapshot) => void;
}

/** Counts what snapshots hold. Every tree is loaded once, however many snapshots have it. */
export async function runStats(
  session: Session,
  options: StatsOptions,
  watch: StatsWatch = {},
): Promise<Stats> {
  const { repository, signal } = session;
  const snapshots = await selectSnapshots(repository, options.names, options.filter, { ...watch, signal });
  await session.loadIndex();
  const stats: Stats = {
    snapshots: snapshots.length,
    totalSize: 0,
    totalFiles: 0,
    totalBlobs: 0,
    uncompressedSize: 0,
    compressedBlobsSize: 0,
    compressedBlobsUncompressedSize: 0,
  };
  const progress = watch.progress ?? { trees: 0, treesTotal: 0 };
  progress.treesTotal = countTrees(repository, snapshots);
  const run: StatsRun = { session, snapshots, stats, progress };
  await COUNTERS[options.mode](run);
  return stats;
}

interface StatsRun {
  readonly session: Session;
  readonly snapshots: readonly LoadedSnapshot[];
  readonly stats: Stats;
  readonly progress: StatsProgress;
}

const COUNTERS: Readonly<Record<StatsMode, (run: StatsRun) => Promise<void>>> = {
  "restore-size": countRestoreSize,
  "files-by-contents": countContents,
  "blobs-per-file": countBlobsPerFile,
  "raw-data": countRawData,
};

/** Hands out every tree of the snapshots once, in no order. */
function everyTree(
  { session, snapshots, progress }: StatsRun,
  on: (id: Id, tree: VisitedTree) => undefined,
): Promise<void> {
  const { repository, signal } = session;
  const roots = snapshots.map(({ tree }) => tree);
  const visit: Parameters<typeof visitTrees>[2] = (id, tree) => {
    if ("error" in tree) throw tree.error;
    progress.trees++;
    on(id, tree);
  };
  return visitTrees(repository, roots, visit, { signal, engine: repository.engine });
}

/** What has to be known of a tree to count it wherever it stands. */
interface TreeSums {
  /** Nodes, and bytes of all but hard links: of the tree alone, with what is below added when it is asked for first. */
  files: number;
  bytes: number;
  /** Files with several names, of which each counts once a snapshot. */
  readonly hardLinks: readonly { readonly key: string; readonly size: number }[];
  /** Keys of the trees below; with hard links below them only, once the sums were added. */
  subtrees: readonly string[];
  isSummed: boolean;
}

async function countRestoreSize(run: StatsRun): Promise<void> {
  const trees = new Map<string, TreeSums>();
  await everyTree(run, (id, { json }) => {
    const hardLinks: { key: string; size: number }[] = [];
    const subtrees: string[] = [];
    let files = 0;
    let bytes = 0;
    // Of most nodes nothing more is wanted than the first of what is looked at here.
    for (const node of new SkimmedTree(id, json)) {
      files++;
      const { subtree, size } = node;
      if (subtree) subtrees.push(idKey(subtree));
      if (node.links === 1 || node.type === "dir" || node.inode === 0n) bytes += size;
      else hardLinks.push({ key: `${node.deviceId}/${node.inode}`, size });
    }
    trees.set(idKey(id), { files, bytes, hardLinks, subtrees, isSummed: false });
  });
  for (const { tree } of run.snapshots) {
    throwIfAborted(run.session.signal);
    const { files, bytes } = summed(trees, idKey(tree));
    run.stats.totalFiles += files;
    run.stats.totalSize += bytes + hardLinkBytes(trees, idKey(tree));
  }
}

/** The sums of a tree and all below it. With a stack of its own: trees may be deeper than calls. */
function summed(trees: ReadonlyMap<string, TreeSums>, root: string): TreeSums {
  const waiting = [root];
  for (let key = waiting.at(-1); key !== undefined; key = waiting.at(-1)) {
    const tree = trees.get(key)!;
    const before = waiting.length;
    if (!tree.isSummed)
      for (const subtree of tree.subtrees) if (!trees.get(subtree)!.isSummed) waiting.push(subtree);
    if (waiting.length > before) continue;
    if (!tree.isSummed) addSubtrees(tree, trees);
    waiting.pop();
  }
  return trees.get(root)!;
}

/** Once they are summed themselves. */
function addSubtrees(tree: TreeSums, trees: ReadonlyMap<string, TreeSums>): void {
  for (const key of tree.subtrees) {
    const { files, bytes } = trees.get(key)!;
    tree.files += files;
    tree.bytes += bytes;
  }
  tree.subtrees = tree.subtrees.filter((key) => {
    const { hardLinks, subtrees } = trees.get(key)!;
    return hardLinks.length + subtrees.length > 0;
  });
  tree.isSummed = true;
}

function hardLinkBytes(trees: ReadonlyMap<string, TreeSums>, root: string): number {
  const counted = new Set<string>();
  let bytes = 0;
  // A tree that stands at many paths has the same files at each: its paths may be more than can be walked.
  const met = new Set([root]);
  for (const key of met) {
    const { hardLinks, subtrees } = trees.get(key)!;
    for (const link of hardLinks) {
      if (!counted.has(link.key)) bytes += link.size;
      counted.add(link.key);
    }
    for (const subtree of subtrees) met.add(subtree);
  }
  return bytes;
}

/** What makes a file the same as another: its list of blobs, empty for all that is no file. */
class Contents {
  readonly #engine: Pick<Engine, "hash">;
  /** The blob of a file that has one, else the hash of the list. */
  readonly #ids = new IdSet();
  #hasEmpty = false;

  constructor(engine: Pick<Engine, "hash">) {
    this.#engine = engine;
  }

  /** @returns true when it was not there yet */
  add({ bytes, length }: IdList): boolean {
    if (length > 0) return this.#ids.add(length === 1 ? bytes : this.#engine.hash(bytes));
    const isNew = !this.#hasEmpty;
    this.#hasEmpty = true;
    return isNew;
  }
}

async function countContents(run: StatsRun): Promise<void> {
  const { stats, session } = run;
  const seen = new Contents(session.repository.engine);
  await everyTree(run, (id, { json }) => {
    for (const node of new SkimmedTree(id, json)) {
      if (!seen.add(node.content)) continue;
      stats.totalFiles++;
      stats.totalSize += node.size;
    }
  });
}

/** A content is counted at the first path that has it, so the order matters. */
async function countBlobsPerFile({ session, snapshots, stats, progress }: StatsRun): Promise<void> {
  const { repository, signal } = session;
  const trees = new Set<string>();
  const contents = new Contents(repository.engine);
  const blobsOfPath = new Map<string, Set<string>>();
  const isNew = (tree: Id) => !trees.has(idKey(tree));
  const take = (path: Buffer, node: TreeNode) => {
    if (!contents.add(node.content ?? IdList.EMPTY)) return;
    for (const id of node.content ?? []) {
      const key = path.toString("latin1");
      const blobs = blobsOfPath.get(key) ?? new Set();
      if (blobs.size === 0) stats.totalFiles++;
      blobsOfPath.set(key, blobs);
      if (blobs.has(idKey(id))) continue;
      blobs.add(idKey(id));
      stats.totalSize += repository.blobSize("data", id) ?? missing("data", id);
      stats.totalBlobs++;
    }
  };
  for (const { tree } of snapshots) {
    if (!isNew(tree)) continue;
    trees.add(idKey(tree));
    const cursor = new TreeCursor(repository, tree, { signal, expects: isNew });
    progress.trees++;
    for (;;) {
      const next = cursor.next();
      const walked = next instanceof Promise ? await next : next;
      if (!walked) break;
      const { node } = walked;
      take(walked.path, node);
      if (node.type !== "dir" || !node.subtree) continue;
      // All that is in a tree seen before was counted there.
      if (!isNew(node.subtree)) cursor.skip();
      else progress.trees++;
      trees.add(idKey(node.subtree));
    }
  }
}

async function countRawData(run: StatsRun): Promise<void> {
  const { stats } = run;
  const { config, index } = run.session.repository;
  // By entry of the index: a set of IDs would take as much memory as the index itself.
  const isCounted = new Uint8Array(index.entryEnd);
  const take = (type: BlobType, id: Id) => {
    const entry = index.entryOf(type, id);
    if (entry < 0) return missing(type, id);
    if (isCounted[entry] === 1) return;
    isCounted[entry] = 1;
    const length = index.lengthOf(entry);
    const uncompressedLength = index.uncompressedLengthOf(entry);
    stats.totalBlobs++;
    stats.totalSize += length;
    if (config.version < 2) return;
    const uncompressed = uncompressedLength > 0 ? uncompressedLength + SEAL_OVERHEAD : length;
    stats.uncompressedSize += uncompressed;
    if (uncompressedLength === 0) return;
    stats.compressedBlobsSize += length;
    stats.compressedBlobsUncompressedSize += uncompressed;
  };
  const visit = (id: Id, { contents }: VisitedTree): undefined => {
    take("tree", id);
    for (const blob of contents) take("data", blob);
  };
  const unpin = index.pin();
  try {
    await everyTree(run, visit);
  } finally {
    unpin();
  }
}

function missing(type: BlobType, id: Id): never {
  throw new NotFoundError(`Cannot count ${type} blob ${Buffer.from(id).toString("hex")}: no index knows it`);
}
