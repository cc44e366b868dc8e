import { awaitedLater } from "../async/awaited-later.js";
import type { FileInfo, FileType } from "../backend/backend.js";
import type { DiskCacheBackend } from "../backend/disk-cache-backend.js";
import type { ListAheadBackend } from "../backend/list-ahead-backend.js";
import type { Repository } from "../repository/repository.js";

/**
 * "as-is" is for what may be as it was a moment before the lock was held: readers look again when a blob is not where they
 * were told. "again" is for what must be known while the lock is held: it is listed anew then, and only the files are there.
 */
export type Freshness = "as-is" | "again";

/** What a command will need, and how fresh it must be. */
export interface AheadNeeds {
  readonly snapshots?: Freshness;
  readonly index?: Freshness;
}

/** What commands need that only read. */
export const READING: AheadNeeds = { snapshots: "as-is", index: "as-is" };
/** What commands need that change what is there. */
export const WRITING: AheadNeeds = { snapshots: "again", index: "again" };

/** Nothing is asked ahead of a command that does not say what it needs. */
const NOTHING: AheadNeeds = {};

/**
 * Asks for what a command will need while its key is derived and its lock settles, half a second in which nothing else
 * happens. Over a line of 50 ms that makes commands a third to a half quicker. What fails is asked for again by whoever
 * needs it, and told then.
 */
export class AskAhead {
  readonly #needs: AheadNeeds;
  /** Of a repository that is far away: what is near answers at once. */
  readonly #lists: ListAheadBackend | undefined;
  readonly #cache: DiskCacheBackend | undefined;
  readonly #stop = new AbortController();
  #listed: Promise<readonly FileInfo[]> | undefined;
  #index: Promise<void> | undefined;

  constructor(
    needs: AheadNeeds = NOTHING,
    lists: ListAheadBackend | undefined = undefined,
    cache: DiskCacheBackend | undefined = undefined,
  ) {
    this.#needs = needs;
    this.#lists = lists;
    this.#cache = cache;
  }

  /** What needs no key. To be called when the key is being derived: the listings grow old. */
  list(withLocks: boolean): void {
    const lists = this.#lists;
    if (!lists) return;
    const { snapshots, index } = this.#needs;
    if (withLocks) void lists.listAhead("lock");
    const isWorthIt = snapshots === "as-is" || (snapshots === "again" && this.#cache !== undefined);
    const listed = isWorthIt ? lists.listAhead("snapshot") : undefined;
    // After the snapshots: all that they refer to is in an index that was there before them.
    if (index) void lists.listAhead("index", listed);
    this.#listed = listed;
  }

  /** What needs the key. @param isLocking a lock is taken meanwhile */
  load(repository: Repository, isLocking: boolean): void {
    const { index } = this.#needs;
    const asIs = index === "as-is";
    const isFar = this.#lists !== undefined;
    // Near, a lock that need not settle is held at once: too soon for what has to be over by then.
    const hasTime = isFar || (isLocking && (asIs || !repository.backend.listsAtOnce));
    if (index && hasTime) this.#index = repository.loadIndexAhead({ asIs, signal: this.#stop.signal });
    awaitedLater(this.#fillCache());
  }

  /**
   * Before the work begins: what it must know is not taken from before the lock. What is still on its way is left to the
   * work, which shows how far it is.
   */
  async finish(): Promise<void> {
    const { snapshots, index } = this.#needs;
    const old: FileType[] = ["lock"];
    if (snapshots === "again") old.push("snapshot");
    if (index === "again") {
      old.push("index");
      this.#stop.abort();
      // It must have ended before the listings are forgotten: it may be about to take them.
      await this.#index;
    }
    this.#lists?.forget(old);
  }

  /** Ends what is under way still. */
  stop(): void {
    this.#stop.abort();
  }

  async #fillCache(): Promise<void> {
    const listed = await this.#listed;
    if (listed) await this.#cache?.fill("snapshot", listed, this.#stop.signal);
  }
}
