import { untilInterrupted } from "../async/deadline.js";
import { SingleFlight } from "../async/single-flight.js";
import { AHEAD_MAX_AGE_MS } from "../backend/list-ahead-backend.js";
import { type Id, idKey } from "../bytes/id.js";
import { throwIfAborted, YoreError } from "../errors.js";
import type { IndexFiles, IndexProgress } from "./index-files.js";

export interface LoadIndexOptions {
  readonly signal?: AbortSignal;
  readonly progress?: IndexProgress;
}

/** After a look at the index for a missing pack that found nothing new, the next such look comes so much later. */
const REFRESH_INTERVAL_MS = 5000;
/** So many missing packs are worth a look of their own within that time: where more are gone, it was no prune. */
const MAX_LOOKED_FOR = 32;

/** When the index in memory is brought up to date: by who asks for it, ahead of him, or because a pack was gone. */
export class IndexUpdates {
  readonly #files: IndexFiles;
  readonly #updating = new SingleFlight<"index", boolean>();
  /** An index for the next who asks, with the time when its load began. */
  #ahead: { readonly begunAt: number; readonly isLoaded: Promise<boolean> } | undefined;
  #isLoaded = false;
  #futileRefreshAt = Number.NEGATIVE_INFINITY;
  /** Packs that were gone when a look began that found nothing new, a moment ago. */
  readonly #lookedFor = new Set<string>();

  constructor(files: IndexFiles) {
    this.#files = files;
  }

  /** See `Repository.loadIndex`. */
  async load(options: LoadIndexOptions): Promise<void> {
    if (await this.#takeAhead(options)) return;
    // It may have listed the files before its caller saw what refers to new ones.
    await untilInterrupted(this.#updating.ended("index"), options.signal);
    await this.#update(options);
  }

  /** See `Repository.loadIndexAhead`. */
  async loadAhead({ asIs, ...options }: LoadIndexOptions & { readonly asIs: boolean }): Promise<void> {
    const begunAt = Date.now();
    const isLoaded = this.#update(options).then(
      () => true,
      () => false,
    );
    if (asIs) this.#ahead = { begunAt, isLoaded };
    await isLoaded;
  }

  /**
   * For readers that found packs gone, or no place of a blob at all: another client may have pruned. A look that found
   * nothing new tells nothing of a pack that has gone since.
   */
  async refresh(gone: readonly Id[], signal?: AbortSignal): Promise<void> {
    if (!this.#isLoaded || this.#wasFutile(gone)) return;
    // It may have listed the files before the packs went.
    await untilInterrupted(this.#updating.ended("index"), signal);
    if (this.#wasFutile(gone)) return;
    // Everybody who waits shares one load, so no single signal may stop it.
    const isChanged = await this.#update({});
    if (isChanged) this.#lookedFor.clear();
    else {
      for (const id of gone) this.#lookedFor.add(idKey(id));
      this.#futileRefreshAt = Date.now();
    }
    throwIfAborted(signal);
  }

  /** Whether a look a moment ago found nothing new that would have been there for these packs. */
  #wasFutile(gone: readonly Id[]): boolean {
    if (Date.now() - this.#futileRefreshAt >= REFRESH_INTERVAL_MS) {
      this.#lookedFor.clear();
      return false;
    }
    return this.#lookedFor.size >= MAX_LOOKED_FOR || gone.every((id) => this.#lookedFor.has(idKey(id)));
  }

  /** Empties the index. */
  clear(): void {
    this.#files.clear();
    this.#ahead = undefined;
    this.#isLoaded = false;
  }

  async #takeAhead({ signal, progress }: LoadIndexOptions): Promise<boolean> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (!ahead || !(await untilInterrupted(ahead.isLoaded, signal))) return false;
    const age = Date.now() - ahead.begunAt;
    if (age < 0 || age > AHEAD_MAX_AGE_MS) return false;
    if (progress) progress.totalFiles = progress.loadedFiles = this.#files.ids.length;
    return true;
  }

  /** @returns whether that changed anything */
  async #update(options: LoadIndexOptions): Promise<boolean> {
    for (;;) {
      let isOwn = false;
      try {
        return await this.#updating.run("index", () => {
          isOwn = true;
          return this.#loadFiles(options);
        });
      } catch (error) {
        const isInterrupted = error instanceof YoreError && error.code === "interrupted";
        // Who began the load that was joined has given up, which is no reason for others.
        if (isOwn || !isInterrupted || options.signal?.aborted) throw error;
      }
    }
  }

  async #loadFiles(options: LoadIndexOptions): Promise<boolean> {
    const changed = await this.#files.load(options);
    this.#isLoaded = true;
    return changed;
  }
}
