import { hostname as machineName } from "node:os";
import { delay, withDeadline } from "../async/deadline.js";
import type { Id } from "../bytes/id.js";
import { messageOf, NotFoundError, throwIfAborted, YoreError } from "../errors.js";
import { encodeLockFile } from "../format/lock-file.js";
import { timestampFromMs } from "./clock.js";
import { userName } from "./keys.js";
import { checkConflicts, LockedError, STALE_AFTER_MS, UnreadableLockError } from "./lock-conflicts.js";
import type { LockStore } from "./lock-store.js";

/**
 * Locks: how several programs, restic among them, share a repository. Whoever reads or adds holds a shared
 * lock, whoever removes an exclusive one. A lock is a file in `locks/` that is replaced by a newer one every
 * five minutes; to take one is to look, write, wait until everybody's file must be visible, and look again.
 */

/** All times of the protocol, in milliseconds; the defaults are restic's. Tests make them short. */
export interface LockTimings {
  /** Between writing the own lock and looking again. */
  readonly settleMs: number;
  /** Between refreshes. */
  readonly refreshMs: number;
  /** Between looks at the clock: after standby, the first one notices. */
  readonly tickMs: number;
  /**
   * Without a refresh for so long, others may have removed the lock as stale: it must be looked at before
   * going on.
   */
  readonly doubtMs: number;
  /** Waits before another try when a lock file cannot be read. */
  readonly unreadableWaitsMs: readonly number[];
  /** First and longest wait between tries while the repository is locked. */
  readonly pollMs: number;
  readonly maxPollMs: number;
  /** Wall-clock time, which goes on during standby. */
  readonly now: () => number;
}

const REFRESH_MS = 5 * 60 * 1000;

const DEFAULT_LOCK_TIMINGS: LockTimings = {
  settleMs: 200,
  refreshMs: REFRESH_MS,
  tickMs: 1000,
  doubtMs: STALE_AFTER_MS - 1.5 * REFRESH_MS,
  unreadableWaitsMs: [5000, 10_000, 20_000],
  pollMs: 5000,
  maxPollMs: 60_000,
  now: Date.now,
};

/** A failed refresh is tried again after this part of the time between refreshes. */
const RETRY_PART = 0.1;

/**
 * The lock file is removed even when the work was cancelled, but a dead backend must not hold up the end for
 * ever.
 */
const RELEASE_DEADLINE_MS = 60_000;

export interface LockOptions {
  readonly exclusive: boolean;
  /** How long to keep trying while others hold the repository; 0, the default, is one try. */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told once when the lock is lost; the lock's own signal fires as well. */
  readonly onLost?: ((error: YoreError) => void) | undefined;
  /** Told once, with the reason, when the waiting begins. */
  readonly onWaiting?: ((reason: string) => void) | undefined;
  readonly timings?: Partial<LockTimings> | undefined;
}

export class RepositoryLock {
  readonly exclusive: boolean;
  readonly #store: LockStore;
  readonly #timings: LockTimings;
  readonly #onLost: ((error: YoreError) => void) | undefined;
  readonly #lost = new AbortController();
  #id: Id;
  /** Older lock files that are not removed yet. */
  readonly #obsolete = new Set<Id>();
  /** When the newest lock file was written. */
  #refreshedAt: number;
  #nextRefresh: number;
  /** When the clock was looked at last. */
  #checkedAt: number;
  /** The refresh under way. */
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #released: Promise<void> | undefined;

  private constructor(
    store: LockStore,
    id: Id,
    writtenAt: number,
    timings: LockTimings,
    options: LockOptions,
  ) {
    this.#store = store;
    this.#id = id;
    this.#timings = timings;
    this.#refreshedAt = writtenAt;
    this.#nextRefresh = writtenAt + timings.refreshMs;
    this.#checkedAt = writtenAt;
    this.#onLost = options.onLost;
    this.exclusive = options.exclusive;
    this.#timer = setInterval(() => this.#tick(), timings.tickMs).unref();
  }

  /**
   * Takes a lock, trying for as long as the options say.
   *
   * @throws {LockedError} naming the holder
   */
  static async acquire(store: LockStore, options: LockOptions): Promise<RepositoryLock> {
    const timings = { ...DEFAULT_LOCK_TIMINGS, ...options.timings };
    const retryMs = options.retryMs ?? 0;
    const giveUpAt = timings.now() + retryMs;
    let waitMs = Math.min(timings.pollMs, retryMs);
    let waiting = false;
    for (;;) {
      const lastTry = timings.now() >= giveUpAt;
      try {
        const { id, writtenAt } = await takeLock(store, options, timings);
        return new RepositoryLock(store, id, writtenAt, timings, options);
      } catch (error) {
        if (!(error instanceof LockedError) || lastTry) throw error;
        if (!waiting) options.onWaiting?.(error.message);
        waiting = true;
      }
      await delay(Math.max(1, Math.min(waitMs, giveUpAt - timings.now())), options.signal);
      waitMs = Math.min(waitMs * 2, timings.maxPollMs);
    }
  }

  /** The newest lock file. */
  get id(): Id {
    return this.#id;
  }

  /** Fires when the lock is lost: whatever it protects must stop. The reason is the error. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Makes sure that the lock still holds, when so much time has passed since its last refresh (standby, a
   * backend that did not answer) that others may have removed it. Cheap otherwise: it is called before
   * everything that must not happen without.
   *
   * @throws the reason, if the lock is lost
   */
  async confirm(): Promise<void> {
    if (this.released) return;
    // A refresh under way may have begun without doubt: the next one does not.
    while (!this.signal.aborted && this.#isInDoubt()) await this.#refresh();
    throwIfAborted(this.signal);
  }

  get released(): boolean {
    return this.#released !== undefined;
  }

  /** Removes the lock. Waits no longer than a minute for it. */
  release(): Promise<void> {
    this.#released ??= this.#removeOwn();
    return this.#released;
  }

  async #removeOwn(): Promise<void> {
    clearInterval(this.#timer);
    const remove = async () => {
      await this.#refreshing;
      await Promise.all([this.#id, ...this.#obsolete].map((id) => removeQuietly(this.#store, id)));
    };
    await withDeadline(remove(), RELEASE_DEADLINE_MS, "release the lock");
  }

  #tick(): void {
    if (this.#refreshing || this.#released || this.signal.aborted) return;
    const now = this.#timings.now();
    // A clock that was set back would let the lock grow stale for everybody whose clock was not.
    const isSetBack = now < this.#checkedAt;
    this.#checkedAt = now;
    if (now >= this.#nextRefresh || isSetBack || this.#isInDoubt()) void this.#refresh();
  }

  #isInDoubt(): boolean {
    return this.#timings.now() - this.#refreshedAt > this.#timings.doubtMs;
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#replace().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /**
   * Writes a newer lock file and removes the older. Never rejects: a failure is tried again, until the lock
   * is in doubt.
   */
  async #replace(): Promise<void> {
    let doubtful = this.#isInDoubt();
    try {
      if (doubtful) await this.#requireOwnFile();
      const writtenAt = this.#timings.now();
      const id = await saveLock(this.#store, this.exclusive, writtenAt);
      // A standby may have fallen into it.
      doubtful ||= this.#isInDoubt();
      if (doubtful) await this.#settleAgain(id);
      this.#obsolete.add(this.#id);
      this.#id = id;
      this.#refreshedAt = writtenAt;
      this.#nextRefresh = writtenAt + this.#timings.refreshMs;
      await this.#removeObsolete();
    } catch (error) {
      if (doubtful) this.#lose(error);
      else this.#nextRefresh = this.#timings.now() + this.#timings.refreshMs * RETRY_PART;
    }
  }

  async #requireOwnFile(): Promise<void> {
    for await (const { id } of this.#store.listFiles("lock")) if (Buffer.compare(id, this.#id) === 0) return;
    throw new NotFoundError("Cannot find the own lock file: somebody removed it as stale");
  }

  /**
   * Our old file was there when the new one was written; if it is still there, nobody took it for stale in
   * between.
   */
  async #settleAgain(fresh: Id): Promise<void> {
    try {
      await delay(this.#timings.settleMs);
      await this.#requireOwnFile();
    } catch (error) {
      this.#obsolete.add(fresh);
      await this.#removeObsolete();
      throw error;
    }
  }

  /** Never rejects: what stays is tried again with the next refresh, and at the end. */
  async #removeObsolete(): Promise<void> {
    for (const id of this.#obsolete) {
      try {
        await removeQuietly(this.#store, id);
        this.#obsolete.delete(id);
      } catch {}
    }
  }

  #lose(cause: unknown): void {
    clearInterval(this.#timer);
    const error = new YoreError(
      "locked",
      `Cannot go on: the lock of the repository was lost: ${messageOf(cause)}`,
      {
        cause,
        hint: "The machine may have been in standby, or the repository out of reach for too long",
      },
    );
    this.#lost.abort(error);
    this.#onLost?.(error);
  }
}

/** One try: look, write, wait, look again. */
async function takeLock(
  store: LockStore,
  options: LockOptions,
  timings: LockTimings,
): Promise<{ id: Id; writtenAt: number }> {
  const { exclusive, signal } = options;
  await checkPatiently(store, exclusive, undefined, timings, signal);
  throwIfAborted(signal);
  const writtenAt = timings.now();
  const id = await saveLock(store, exclusive, writtenAt);
  try {
    await delay(timings.settleMs, signal);
    await checkPatiently(store, exclusive, id, timings, signal);
    return { id, writtenAt };
  } catch (error) {
    await removeQuietly(store, id).catch(() => {});
    throw error;
  }
}

/**
 * A lock file that cannot be read may be in the middle of being written: it gets time. A conflict is final at
 * once.
 */
async function checkPatiently(
  store: LockStore,
  exclusive: boolean,
  own: Id | undefined,
  timings: LockTimings,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await checkConflicts(store, exclusive, own, timings.now(), signal);
    } catch (error) {
      const waitMs = timings.unreadableWaitsMs[attempt];
      if (!(error instanceof UnreadableLockError) || waitMs === undefined) throw error;
      await delay(waitMs, signal);
    }
  }
}

function saveLock(store: LockStore, exclusive: boolean, nowMs: number): Promise<Id> {
  const json = encodeLockFile({
    time: timestampFromMs(nowMs),
    exclusive,
    hostname: machineName(),
    username: userName(),
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  });
  return store.saveFile("lock", json);
}

async function removeQuietly(store: LockStore, id: Id): Promise<void> {
  try {
    await store.removeFile("lock", id);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}
