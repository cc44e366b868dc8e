import { messageOf } from "../errors.js";
import type { PolicyKeeper } from "./policy.js";
import type { RepositoryUsage, UsageLedger } from "./usage.js";

/** How often it is looked whether a repository has become stale, or has got its snapshot. */
const CHECK_EACH_MS = 60_000;
/** What has not taken an alarm by then has failed. */
const DEADLINE_MS = 10_000;
/** A webhook that fails is tried again at each look at first, and in the end so often. */
const MAX_PAUSE_MS = 60 * 60_000;

/** What the webhook is told, as JSON. */
export interface StaleAlarm {
  readonly event: "stale" | "recovered";
  /** Its path below the data folder, "" for the data folder itself. */
  readonly repository: string;
  /** When its newest snapshot arrived here, such as "2026-11-22T18:03:59.000Z"; null when there is none. */
  readonly last_snapshot: string | null;
  /** How old it may become. */
  readonly stale_after_seconds: number;
}

/**
 * True when the newest snapshot is older than the policy allows. A repository that has none yet is as old as its config;
 * without a config it is none.
 */
export function isStale(usage: Readonly<RepositoryUsage>, staleAfterMs: number, nowMs: number): boolean {
  const since = Math.max(usage.lastSnapshotMs, usage.createdMs);
  return since > 0 && nowMs - since > staleAfterMs;
}

export interface StaleAlarmOptions {
  readonly usage: UsageLedger;
  readonly policy: PolicyKeeper;
  readonly onLog: (line: string) => void;
  /** Milliseconds; a minute when left out. */
  readonly checkEachMs?: number | undefined;
  /** Milliseconds; 10,000 when left out. */
  readonly deadlineMs?: number | undefined;
}

/**
 * Tells the policy's webhook once when a repository becomes stale, and once when a snapshot arrives again. What it does
 * not take, by an answer of 2xx within the deadline, is told again at later looks, less and less often. What was told is
 * forgotten when the server ends: what is stale then is told again.
 */
export class StaleAlarms {
  readonly #options: StaleAlarmOptions;
  /** Paths of the repositories whose alarm was taken. */
  readonly #told = new Set<string>();
  readonly #stopped = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #looking = false;
  #pauseMs = 0;
  #pausedUntil = 0;

  constructor(options: StaleAlarmOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), options.checkEachMs ?? CHECK_EACH_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopped.abort();
  }

  async #look(): Promise<void> {
    const { webhook } = this.#options.policy;
    if (webhook === undefined || this.#looking || performance.now() < this.#pausedUntil) return;
    this.#looking = true;
    try {
      for (const alarm of this.#changes()) {
        await this.#tell(webhook, alarm);
        if (alarm.event === "stale") this.#told.add(alarm.repository);
        else this.#told.delete(alarm.repository);
      }
      this.#pauseMs = 0;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.#pauseMs = Math.min(
        MAX_PAUSE_MS,
        this.#pauseMs * 2 || (this.#options.checkEachMs ?? CHECK_EACH_MS),
      );
      this.#pausedUntil = performance.now() + this.#pauseMs;
      // The path and the query of a webhook's address are often its password.
      this.#options.onLog(`Cannot tell ${new URL(webhook).host} of stale repositories: ${reasonOf(error)}`);
    } finally {
      this.#looking = false;
    }
  }

  #changes(): StaleAlarm[] {
    const { usage, policy } = this.#options;
    const now = Date.now();
    const alarms: StaleAlarm[] = [];
    for (const [repository, of] of usage.entries()) {
      const staleAfterMs = policy.staleAfterMs(repository);
      const stale = staleAfterMs !== undefined && isStale(of, staleAfterMs, now);
      // A repository that has no limit any more is forgotten without a word.
      if (staleAfterMs === undefined) this.#told.delete(repository);
      if (staleAfterMs === undefined || stale === this.#told.has(repository)) continue;
      alarms.push({
        event: stale ? "stale" : "recovered",
        repository,
        last_snapshot: of.lastSnapshotMs > 0 ? new Date(of.lastSnapshotMs).toISOString() : null,
        stale_after_seconds: staleAfterMs / 1000,
      });
    }
    return alarms;
  }

  async #tell(webhook: string, alarm: StaleAlarm): Promise<void> {
    const deadline = AbortSignal.timeout(this.#options.deadlineMs ?? DEADLINE_MS);
    const response = await fetch(webhook, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "yore" },
      body: JSON.stringify(alarm),
      // An address that moved is the owner's to correct.
      redirect: "error",
      signal: AbortSignal.any([deadline, this.#stopped.signal]),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`it answered with ${response.status}`);
  }
}

/** `fetch` says "fetch failed", and why in its cause. */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
