/**
 * yore as a library: open a repository, look at its snapshots, read and mount them, make new ones, restore and check.
 *
 * ```ts
 * import { listSnapshots, openRepository, walkTree } from "yore";
 *
 * const session = await openRepository("/srv/backups", { password: "..." });
 * try {
 *   const { repository, signal } = session;
 *   const snapshots = await listSnapshots(repository, { hosts: ["laptop"], tags: [], paths: [] });
 *   await repository.loadIndex({ signal });
 *   for await (const { path, node } of walkTree(repository, snapshots.at(-1)!.tree)) console.log(path.toString(), node.size);
 * } finally {
 *   await session.close();
 * }
 * ```
 *
 * Everything long takes an `AbortSignal`; every error is a `YoreError` with a stable `code`.
 */

import { runInit } from "./commands/init.js";
import {
  knownPassword,
  type LockMode,
  NO_PASSWORD,
  openSession,
  type PasswordSource,
  type RepositoryOptions,
  type Session,
} from "./commands/session.js";
import type { Password } from "./repository/password.js";

export { type BackupOptions, type BackupWatch, backup } from "./archiver/backup.js";
export { type BackupEvent, BackupProgress, type BackupSummary } from "./archiver/backup-progress.js";
export { formatId, formatShortId, type Id, parseId } from "./bytes/id.js";
export type { PasswordSource, Session } from "./commands/session.js";
export {
  DamagedError,
  type ErrorCode,
  FormatError,
  NotFoundError,
  UsageError,
  YoreError,
} from "./errors.js";
export type { BlobType } from "./format/blob.js";
export type { NodeType, TreeNode } from "./format/node.js";
export type { LoadedSnapshot, Snapshot, SnapshotSummary } from "./format/snapshot.js";
export {
  formatTimestamp,
  parseTimestamp,
  type Timestamp,
  timestampFromNs,
  timestampNs,
} from "./format/timestamp.js";
export {
  type CalendarDuration,
  formatCalendarDuration,
  parseCalendarDuration,
} from "./maintenance/calendar-duration.js";
export { check } from "./maintenance/check.js";
export {
  type CheckEvent,
  type CheckHint,
  type CheckOptions,
  type CheckProblem,
  type CheckProgress,
  type CheckSummary,
  type CheckWatch,
  newCheckProgress,
  type PackSubset,
} from "./maintenance/check-options.js";
export {
  type CopyEvent,
  type CopyProgress,
  type CopyResult,
  type CopyWatch,
  copySnapshots,
  newCopyProgress,
} from "./maintenance/copy-snapshots.js";
export {
  applyForgetPolicy,
  type ForgetDecision,
  type ForgetPolicy,
  type KeepCounts,
  type KeepWithin,
  type KeptSnapshot,
} from "./maintenance/forget-policy.js";
export { pruneRepository } from "./maintenance/prune.js";
export {
  type MaxUnused,
  newPruneProgress,
  type PruneEvent,
  type PruneOptions,
  type PrunePlan,
  type PruneProgress,
  type PruneResult,
  type PruneStatistics,
  type PruneWatch,
} from "./maintenance/prune-options.js";
export {
  type RecoverEvent,
  type RecoverProgress,
  type RecoverResult,
  type RecoverWatch,
  recover,
} from "./maintenance/recover.js";
export {
  newRepairIndexProgress,
  type RepairIndexEvent,
  type RepairIndexOptions,
  type RepairIndexProgress,
  type RepairIndexResult,
  type RepairIndexWatch,
  repairIndex,
} from "./maintenance/repair-index.js";
export {
  type RepairPacksEvent,
  type RepairPacksResult,
  type RepairPacksWatch,
  repairPacks,
} from "./maintenance/repair-packs.js";
export {
  type Repair,
  type RepairSnapshotsEvent,
  type RepairSnapshotsOptions,
  type RepairSnapshotsWatch,
  repairSnapshots,
} from "./maintenance/repair-snapshots.js";
export { type MountHandle, type MountOptions, mount } from "./mount/mount.js";
export type { BlobLoader } from "./repository/blob-loader.js";
export { COMPRESSION_MODES, type CompressionMode } from "./repository/compression.js";
export { loadTree } from "./repository/load-tree.js";
export type { RepositoryLock } from "./repository/lock.js";
export type { Password } from "./repository/password.js";
export { Repository } from "./repository/repository.js";
export {
  ANY_SNAPSHOT,
  type FoundSnapshot,
  findSnapshot,
  listSnapshots,
  loadSnapshot,
  resolveSubfolder,
  type SnapshotFilter,
} from "./repository/snapshots.js";
export { TreeCursor, type WalkedNode, type WalkOptions } from "./repository/tree-cursor.js";
export { walkTree } from "./repository/walk-tree.js";
export { restore } from "./restorer/restore.js";
export {
  newRestoreProgress,
  OVERWRITE_MODES,
  type OverwriteMode,
  type RestoreEvent,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreSummary,
  type RestoreWatch,
} from "./restorer/restore-options.js";
export { SnapshotFilesystem, type SnapshotFilesystemOptions } from "./snapfs/snapshot-filesystem.js";

/** How a repository is opened. The rest of the options of a session have their defaults. */
export interface OpenOptions extends Omit<RepositoryOptions, "location" | "password"> {
  /** The password, text or any bytes, something that can be asked for it, or `null` for a repository whose password is empty. */
  readonly password: Password | PasswordSource | null;
  /** "shared" to read and add, "exclusive" to remove, "none" at the caller's risk; "shared" when left out. */
  readonly lock?: LockMode;
  /** How long to keep trying for the lock, milliseconds; 0 when left out. */
  readonly retryLockMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Opens a repository and takes a lock. The index is not loaded: call `session.repository.loadIndex()` before reading
 * blobs. Whoever opens must `close()`, which releases the lock.
 *
 * @param location as restic writes it: a path, `rest:https://...`
 * @throws {YoreError} `no-repository`, `wrong-password`, `locked`, `not-supported`
 */
export function openRepository(location: string, options: OpenOptions): Promise<Session> {
  const { password, lock = "shared", retryLockMs = 0, signal, ...settings } = options;
  return openSession(
    { ...settings, location, password: passwordSource(password) },
    { lock, retryLockMs, ...(signal ? { signal } : {}) },
  );
}

/**
 * Makes an empty repository.
 *
 * @returns its ID, 64 hex digits
 * @throws {UsageError} if there is a repository already
 */
export async function createRepository(
  location: string,
  options: { readonly password: Password | PasswordSource | null; readonly version?: 1 | 2 },
): Promise<string> {
  const repository = { location, password: passwordSource(options.password) };
  const { id } = await runInit({ repository, ...(options.version ? { version: options.version } : {}) });
  return id;
}

function passwordSource(password: Password | PasswordSource | null): PasswordSource {
  if (password === null) return NO_PASSWORD;
  return typeof password === "string" || password instanceof Uint8Array ? knownPassword(password) : password;
}
