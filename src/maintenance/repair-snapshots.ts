import { type Id, IdList } from "../bytes/id.js";
import type { TreeNode } from "../format/node.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { countTrees } from "../repository/count-trees.js";
import type { Repository } from "../repository/repository.js";
import { listSnapshots } from "../repository/snapshots.js";
import { type Replaced, replaceSnapshot } from "./replace-snapshot.js";
import { type RewriteProgress, TreeRewriter } from "./tree-rewriter.js";

export interface RepairSnapshotsOptions {
  readonly dryRun: boolean;
  /** Remove the snapshots that are replaced. */
  readonly forget: boolean;
}

/** What a snapshot has to do without. Paths are raw bytes, names joined by `/`; that of the root is empty. */
export type Repair =
  /** A node of no type that can be restored was left out. */
  | { readonly kind: "invalid-node"; readonly path: Buffer; readonly nodeType: string }
  /** Blobs of the file are lost: what comes behind them moved up. */
  | { readonly kind: "missing-content"; readonly path: Buffer }
  | { readonly kind: "wrong-size"; readonly path: Buffer }
  /** A directory whose tree is lost became an empty one. */
  | { readonly kind: "emptied-directory"; readonly path: Buffer }
  | { readonly kind: "lost-root"; readonly path: Buffer };

export type RepairSnapshotsEvent =
  | { readonly type: "snapshot"; readonly snapshot: LoadedSnapshot }
  | { readonly type: "repair"; readonly repair: Repair }
  | { readonly type: "done"; readonly snapshot: LoadedSnapshot; readonly outcome: Replaced };

export interface RepairSnapshotsWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RewriteProgress | undefined;
  readonly on?: ((event: RepairSnapshotsEvent) => void) | undefined;
}

/**
 * Replaces snapshots that need what is lost by such as do without it. The index must be loaded and right: what it does not
 * know counts as lost. The caller holds the exclusive lock, unless it is a dry run.
 *
 * @returns how many snapshots were changed
 */
export async function repairSnapshots(
  repository: Repository,
  snapshots: readonly LoadedSnapshot[],
  options: RepairSnapshotsOptions,
  watch: RepairSnapshotsWatch = {},
): Promise<number> {
  const told = (repair: Repair) => watch.on?.({ type: "repair", repair });
  const rewriter = new TreeRewriter(
    repository,
    {
      node: (node, path) => repairNode(repository, node, path, told),
      damagedTree: (path) => {
        const isRoot = path.length === 0;
        told({ kind: isRoot ? "lost-root" : "emptied-directory", path });
        return isRoot ? undefined : [];
      },
    },
    { dryRun: options.dryRun, signal: watch.signal, progress: watch.progress },
  );
  const treesTotal = countTrees(repository, snapshots);
  if (watch.progress) Object.assign(watch.progress, { snapshotsTotal: snapshots.length, treesTotal });
  const existing = await listSnapshots(repository, undefined, { signal: watch.signal, onError: () => {} });
  let changed = 0;
  try {
    for (const snapshot of snapshots) {
      watch.on?.({ type: "snapshot", snapshot });
      const tree = await rewriter.rewrite(snapshot.tree);
      const outcome = await replaceSnapshot(repository, snapshot, tree?.id, {
        ...options,
        tag: "repaired",
        existing,
      });
      if (outcome.kind !== "unchanged") changed++;
      if (watch.progress) watch.progress.snapshots++;
      watch.on?.({ type: "done", snapshot, outcome });
    }
  } finally {
    // Trees of a snapshot that was not finished: found again, or pruned.
    await repository.flush();
  }
  return changed;
}

function repairNode(
  repository: Repository,
  node: TreeNode,
  path: Buffer,
  told: (repair: Repair) => void,
): TreeNode | undefined {
  if (node.type === "irregular") {
    told({ kind: "invalid-node", path, nodeType: node.type });
    return undefined;
  }
  if (node.type !== "file") return node;
  const content: Id[] = [];
  let size = 0;
  for (const id of node.content ?? []) {
    const blobSize = repository.blobSize("data", id);
    if (blobSize === undefined) continue;
    content.push(id);
    size += blobSize;
  }
  const isComplete = content.length === (node.content?.length ?? 0);
  if (isComplete && size === node.size && node.content) return node;
  if (!isComplete) told({ kind: "missing-content", path });
  else if (size !== node.size) told({ kind: "wrong-size", path });
  return { ...node, content: IdList.from(content), size };
}
