import { throwIfAborted, UsageError } from "../errors.js";
import type { LoadedSnapshot, Snapshot, SnapshotSummary } from "../format/snapshot.js";
import { type Timestamp, ZERO_TIME } from "../format/timestamp.js";
import type { PatternList } from "../patterns/mod.js";
import { countTrees } from "../repository/count-trees.js";
import type { Repository } from "../repository/repository.js";
import { listSnapshots } from "../repository/snapshots.js";
import { type Replaced, replaceSnapshot } from "./replace-snapshot.js";
import {
  type RewriteProgress,
  type RewriteRules,
  type RewrittenTree,
  TreeRewriter,
} from "./tree-rewriter.js";

export interface RewriteOptions {
  /** Leave out what any of these matches. Not together with `includes`. */
  readonly excludes: readonly PatternList[];
  /** Leave out all files that none of these matches, and directories that are empty then. */
  readonly includes: readonly PatternList[];
  /** Remove the old snapshots; otherwise the new ones get the tag "rewrite". */
  readonly forget: boolean;
  readonly dryRun: boolean;
  readonly newHost?: string | undefined;
  readonly newTime?: Timestamp | undefined;
  /** Count files and bytes, as it is done for excludes and includes as well. */
  readonly countFiles: boolean;
}

export type RewriteEvent =
  | { readonly type: "snapshot"; readonly snapshot: LoadedSnapshot }
  /** What is left out, or with includes what is taken; raw bytes, "/" in front. */
  | { readonly type: "path"; readonly path: Buffer; readonly isIncluded: boolean }
  | { readonly type: "done"; readonly snapshot: LoadedSnapshot; readonly outcome: Replaced };

export interface RewriteWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RewriteProgress | undefined;
  readonly on?: ((event: RewriteEvent) => void) | undefined;
}

/** @throws {UsageError} if there is nothing to do, or a contradiction */
export function checkRewriteOptions(options: RewriteOptions): void {
  const { excludes, includes, countFiles, newHost, newTime } = options;
  if (excludes.length + includes.length === 0 && !countFiles && !newHost && !newTime)
    throw new UsageError("Nothing to do: no excludes/includes provided and no new metadata provided");
  if (excludes.length > 0 && includes.length > 0)
    throw new UsageError("exclude and include patterns are mutually exclusive");
}

/**
 * Makes new snapshots of old ones, without some of their files or with other metadata. The index must be loaded. Each
 * new snapshot is saved behind all that it needs, and an old one removed only then.
 *
 * @returns how many snapshots changed
 * @throws {YoreError} if a tree cannot be loaded, or would lose fields that this program does not know
 */
export async function rewriteSnapshots(
  repository: Repository,
  snapshots: readonly LoadedSnapshot[],
  options: RewriteOptions,
  watch: RewriteWatch = {},
): Promise<number> {
  checkRewriteOptions(options);
  const { dryRun, forget } = options;
  const { signal, progress, on } = watch;
  const treesTotal = countTrees(repository, snapshots);
  if (progress) Object.assign(progress, { snapshotsTotal: snapshots.length, treesTotal });
  const rewriter = new TreeRewriter(repository, makeRules(options, on), {
    dryRun,
    signal,
    progress,
    byPath: true,
    refuseLoss: true,
  });
  const filters = options.excludes.length + options.includes.length > 0 || options.countFiles;
  const existing = forget ? await listSnapshots(repository, undefined, { signal, onError: () => {} }) : [];
  let changed = 0;
  try {
    for (const snapshot of snapshots) {
      throwIfAborted(signal);
      on?.({ type: "snapshot", snapshot });
      const rewritten = filters ? await rewriter.rewrite(snapshot.tree) : undefined;
      const outcome: Replaced =
        filters && !rewritten
          ? // Nothing of it is included: it stays as it is.
            { kind: "unchanged" }
          : await replaceSnapshot(repository, snapshot, rewritten?.id ?? snapshot.tree, {
              dryRun,
              forget,
              existing,
              tag: "rewrite",
              changes: changesOf(snapshot, rewritten, options),
            });
      if (outcome.kind !== "unchanged") changed++;
      if (progress) progress.snapshots++;
      on?.({ type: "done", snapshot, outcome });
    }
  } finally {
    // Trees of a snapshot that was not finished: found again, or pruned.
    await repository.flush();
  }
  return changed;
}

/** What is new beside the tree. */
function changesOf(
  { summary }: Snapshot,
  rewritten: RewrittenTree | undefined,
  { newHost, newTime }: RewriteOptions,
): Partial<Pick<Snapshot, "hostname" | "time" | "summary">> {
  const same =
    summary?.totalFilesProcessed === rewritten?.files && summary?.totalBytesProcessed === rewritten?.bytes;
  return {
    ...(newHost ? { hostname: newHost } : {}),
    ...(newTime ? { time: newTime } : {}),
    ...(rewritten && !(summary && same)
      ? {
          summary: {
            ...(summary ?? NO_SUMMARY),
            totalFilesProcessed: rewritten.files,
            totalBytesProcessed: rewritten.bytes,
          },
        }
      : {}),
  };
}

const NO_SUMMARY: SnapshotSummary = {
  backupStart: ZERO_TIME,
  backupEnd: ZERO_TIME,
  filesNew: 0,
  filesChanged: 0,
  filesUnmodified: 0,
  dirsNew: 0,
  dirsChanged: 0,
  dirsUnmodified: 0,
  dataBlobs: 0,
  treeBlobs: 0,
  dataAdded: 0,
  dataAddedPacked: 0,
  totalFilesProcessed: 0,
  totalBytesProcessed: 0,
};

function makeRules({ excludes, includes }: RewriteOptions, on: RewriteWatch["on"]): RewriteRules {
  const fromRoot = (path: Buffer) => Buffer.concat([SLASH, path]);
  const damagedTree: RewriteRules["damagedTree"] = (_, error) => {
    throw error;
  };
  if (includes.length === 0) {
    return {
      damagedTree,
      node: (node, path) => {
        const whole = fromRoot(path);
        if (!excludes.some((list) => list.matches(whole))) return node;
        on?.({ type: "path", path: whole, isIncluded: false });
        return undefined;
      },
    };
  }
  const isIncluded = (path: Buffer) => includes.some((list) => list.matches(path));
  return {
    damagedTree,
    node: (node, path) => {
      if (node.type === "dir") return node;
      const whole = fromRoot(path);
      if (!isIncluded(whole)) return undefined;
      on?.({ type: "path", path: whole, isIncluded: true });
      return node;
    },
    keepsEmpty: (path) => isIncluded(fromRoot(path)),
  };
}

const SLASH = Buffer.from("/");
