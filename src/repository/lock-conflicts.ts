import { hostname as machineName } from "node:os";
import { mapConcurrently } from "../async/map-concurrently.js";
import { equalIds, formatId, formatShortId, type Id } from "../bytes/id.js";
import { NotFoundError, YoreError } from "../errors.js";
import { formatGoDuration } from "../format/go-duration.js";
import { decodeLockFile, type LockFile } from "../format/lock-file.js";
import { formatLocalTime } from "../format/timestamp.js";
import type { LockStore } from "./lock-store.js";

/** A lock that was not refreshed for so long belongs to nobody any more. */
export const STALE_AFTER_MS = 30 * 60 * 1000;

/** A lock file of the repository: what it says, or why it cannot be read. */
export type ListedLock =
  | { readonly id: Id; readonly lock: LockFile; readonly error?: undefined }
  | { readonly id: Id; readonly lock?: undefined; readonly error: YoreError };

/** Somebody else uses the repository. */
export class LockedError extends YoreError {
  readonly id: Id;
  readonly lock: LockFile;
  /** True when the lock looks abandoned: too old, or its process is gone from this machine. */
  readonly stale: boolean;

  constructor(id: Id, lock: LockFile, nowMs: number) {
    const stale = isStaleLock(lock, nowMs);
    super("locked", lockedMessage(id, lock, nowMs), {
      hint: stale
        ? "The lock looks stale: `yore unlock` removes it"
        : "Wait until the other process is done, or keep trying with --retry-lock",
    });
    this.id = id;
    this.lock = lock;
    this.stale = stale;
  }
}

/** restic's words, line for line: programs that drive it read from them who holds the lock, and since when. */
function lockedMessage(id: Id, lock: LockFile, nowMs: number): string {
  const owner = `PID ${lock.pid} on ${lock.hostname} by ${lock.username} (UID ${lock.uid}, GID ${lock.gid})`;
  const seconds = Math.round(nowMs / 1000) - lock.time.seconds;
  return [
    `unable to create lock in backend: repository is already locked ${lock.exclusive ? "exclusively " : ""}by ${owner}`,
    `lock was created at ${formatLocalTime(lock.time)} (${formatGoDuration(seconds * 1000)} ago)`,
    `storage ID ${formatShortId(id)}`,
    "the `unlock` command can be used to remove stale locks",
  ].join("\n");
}

/**
 * True for a lock that nobody can be holding: not refreshed for 30 minutes, or made on this machine by a
 * process that is gone. A process that we may not signal exists.
 */
export function isStaleLock(lock: LockFile, nowMs: number): boolean {
  if (nowMs - lock.time.seconds * 1000 > STALE_AFTER_MS) return true;
  return lock.hostname === machineName() && !processExists(lock.pid);
}

/**
 * All locks of the repository. Files without a byte are what a full disk leaves of a lock: they hold nothing.
 *
 * @param own is left out, and not loaded
 */
export async function listLocks(store: LockStore, signal?: AbortSignal, own?: Id): Promise<ListedLock[]> {
  const ids: Id[] = [];
  for await (const { id, size } of store.listFiles("lock"))
    if (size > 0 && !(own && equalIds(own, id))) ids.push(id);
  const load = async (id: Id): Promise<ListedLock | undefined> => {
    try {
      return { id, lock: decodeLockFile(await store.loadFile("lock", id, signal)) };
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
      return { id, error };
    }
  };
  return (await mapConcurrently(ids, 4, load, signal)).filter((listed) => listed !== undefined);
}

/**
 * Throws if another lock forbids ours: any exclusive one does, and for an exclusive lock any at all, stale or
 * not.
 *
 * @throws {LockedError}
 * @throws {UnreadableLockError} for a lock that cannot be read: it may be anything
 */
export async function checkConflicts(
  store: LockStore,
  exclusive: boolean,
  own: Id | undefined,
  nowMs: number,
  signal?: AbortSignal,
): Promise<void> {
  let unreadable: ListedLock | undefined;
  for (const listed of await listLocks(store, signal, own)) {
    if (!listed.lock) unreadable ??= listed;
    else if (exclusive || listed.lock.exclusive) throw new LockedError(listed.id, listed.lock, nowMs);
  }
  if (unreadable?.error) throw new UnreadableLockError(unreadable.id, unreadable.error);
}

/**
 * A lock file that cannot be decoded. Half written ones become whole in a moment; others stay until removed.
 */
export class UnreadableLockError extends YoreError {
  constructor(id: Id, cause: YoreError) {
    super("damaged", `Cannot lock repository: lock ${formatShortId(id)} cannot be read: ${cause.message}`, {
      cause,
      hint: `If no other program uses the repository, \`yore unlock --remove-all\` removes lock ${formatId(id)}`,
    });
  }
}

/**
 * Removes the locks that nobody can be holding, or all of them.
 *
 * @returns how many were removed
 */
export async function unlock(
  store: LockStore,
  options: { readonly removeAll?: boolean; readonly signal?: AbortSignal } = {},
): Promise<number> {
  const doomed: Id[] = [];
  if (options.removeAll) {
    for await (const { id } of store.listFiles("lock")) doomed.push(id);
  } else {
    for (const { id, lock } of await listLocks(store, options.signal))
      if (lock && isStaleLock(lock, Date.now())) doomed.push(id);
  }
  let removed = 0;
  for (const id of doomed) {
    try {
      await store.removeFile("lock", id);
      removed++;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
  return removed;
}

function processExists(pid: number): boolean {
  if (pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
