/** Finds directories that no snapshot and no other directory leads to, and makes a snapshot of them. */

import { hostname as machineName } from "node:os";
import { formatId, formatShortId, type Id } from "../bytes/id.js";
import type { YoreError } from "../errors.js";
import { GO_MODE_DIR } from "../format/file-mode.js";
import { emptyNode, type TreeNode } from "../format/node.js";
import { encodeTree } from "../format/tree.js";
import { timestampNow } from "../repository/clock.js";
import { userName } from "../repository/keys.js";
import type { Repository } from "../repository/repository.js";
import { listSnapshots, saveSnapshot } from "../repository/snapshots.js";
import { visitTrees } from "../repository/walk-tree.js";

/** Counters that a recovery keeps up to date and a renderer polls. */
export interface RecoverProgress {
  trees: number;
  treesTotal: number;
}

export type RecoverEvent =
  | { readonly type: "trees"; readonly count: number }
  | { readonly type: "unreadable-tree"; readonly id: Id; readonly error: YoreError }
  | { readonly type: "unreadable-snapshot"; readonly id: Id; readonly error: YoreError }
  | { readonly type: "snapshots" }
  | { readonly type: "root"; readonly id: Id };

export interface RecoverWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RecoverProgress | undefined;
  readonly on?: ((event: RecoverEvent) => void) | undefined;
}

export interface RecoverResult {
  readonly roots: readonly Id[];
  /** The new snapshot; `undefined` when there was nothing to recover. */
  readonly snapshot: Id | undefined;
}

/**
 * Recovers what nothing leads to. The index must be loaded and right; the caller holds the exclusive lock.
 *
 * @param programVersion what the snapshot says that it was made by
 */
export async function recover(
  repository: Repository,
  programVersion: string,
  watch: RecoverWatch = {},
): Promise<RecoverResult> {
  const unpin = repository.index.pin();
  let roots: Id[];
  try {
    roots = await findRoots(repository, watch);
  } finally {
    unpin();
  }
  if (roots.length === 0) return { roots, snapshot: undefined };
  const { id: tree } = await repository.saveBlob("tree", encodeTree(rootNodes(roots)));
  await repository.flush();
  const snapshot = await saveSnapshot(repository, {
    time: timestampNow(),
    tree,
    paths: ["/recover"],
    hostname: machineName(),
    username: userName(),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    excludes: [],
    tags: ["recovered"],
    programVersion,
    unknown: {},
  });
  return { roots, snapshot };
}

async function findRoots(repository: Repository, watch: RecoverWatch): Promise<Id[]> {
  const { index } = repository;
  /** By entry of the first copy of a tree: something leads to it. */
  const isReached = new Uint8Array(index.entryEnd);
  const reach = (id: Id) => {
    const entry = index.entryOf("tree", id);
    if (entry >= 0) isReached[entry] = 1;
  };
  const trees: Id[] = [];
  for (let entry = 0; entry < isReached.length; entry++)
    if (index.isLive(entry) && index.typeOf(entry) === "tree" && index.firstCopy(entry) === entry)
      trees.push(index.blobOf(entry).id);
  watch.on?.({ type: "trees", count: trees.length });
  if (watch.progress) watch.progress.treesTotal = trees.length;
  await visitTrees(
    repository,
    trees,
    (id, tree) => {
      if (watch.progress) watch.progress.trees++;
      if ("error" in tree) {
        // Neither a root that can be shown, nor one that leads anywhere.
        reach(id);
        watch.on?.({ type: "unreadable-tree", id, error: tree.error });
        return;
      }
      for (const subtree of tree.subtrees) reach(subtree);
    },
    { signal: watch.signal, engine: repository.engine },
  );
  watch.on?.({ type: "snapshots" });
  const onError = (id: Id, error: YoreError) => watch.on?.({ type: "unreadable-snapshot", id, error });
  for (const { tree } of await listSnapshots(repository, undefined, { signal: watch.signal, onError }))
    reach(tree);
  const roots = trees.filter((id) => isReached[index.entryOf("tree", id)] === 0);
  roots.sort(Buffer.compare);
  for (const id of roots) watch.on?.({ type: "root", id });
  return roots;
}

/** A directory for each root, named by the beginning of its ID, or all of it where that is not enough. */
function rootNodes(roots: readonly Id[]): TreeNode[] {
  const counts = new Map<string, number>();
  for (const id of roots) counts.set(formatShortId(id), (counts.get(formatShortId(id)) ?? 0) + 1);
  const now = timestampNow();
  return roots.map((id) => {
    const short = formatShortId(id);
    return {
      ...emptyNode(),
      name: Buffer.from(counts.get(short) === 1 ? short : formatId(id)),
      type: "dir",
      mode: GO_MODE_DIR + 0o755,
      mtime: now,
      atime: now,
      ctime: now,
      subtree: id,
    };
  });
}
