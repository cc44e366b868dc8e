import { type FSWatcher, watch } from "node:fs";
import { statfs } from "node:fs/promises";
import { withDeadline } from "../async/deadline.js";
import { systemPath } from "../bytes/system-path.js";
import { messageOf } from "../errors.js";

export interface SnapshotWatcherOptions {
  /** Between two looks at the list, milliseconds. */
  readonly intervalMs: number;
  /** After which a look counts as failed. It goes on, and no other is begun before it has ended. */
  readonly timeoutMs: number;
  /** Folder of the snapshot files of a local repository: a new one is noticed at once. */
  readonly folder?: string | undefined;
  readonly onLog: (line: string) => void;
}

/** Writers make a temporary file, write and rename: one look for all of it. */
const SETTLE_MS = 100;
/** Filesystems whose changes are made elsewhere, and that may hang: FUSE, NFS, CIFS, SMB2, 9P. */
const REMOTE_FILESYSTEMS = new Set([0x65735546, 0x6969, 0xff534d42, 0xfe534d42, 0x01021997]);

/** Keeps the list of snapshots up to date: by a look every few seconds, and by the kernel's word where there is one. */
export class SnapshotWatcher {
  readonly #refresh: () => Promise<void>;
  readonly #options: SnapshotWatcherOptions;
  #timer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #looking: Promise<void> | undefined;
  /** Since the last look began, which may have been too early to see it. */
  #hasChanged = false;
  #isFailing = false;
  #isStopped = false;

  constructor(refresh: () => Promise<void>, options: SnapshotWatcherOptions) {
    this.#refresh = refresh;
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#schedule(this.#options.intervalMs);
    const { folder } = this.#options;
    if (folder !== undefined && (await isWatchable(folder)) && !this.#isStopped) this.#watch(folder);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }

  #watch(folder: string): void {
    try {
      this.#watcher = watch(systemPath(folder), { persistent: false }, () => {
        this.#hasChanged = true;
        this.#schedule(SETTLE_MS);
      });
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // No inotify instance left, or none here: looking every few seconds does as well.
    }
  }

  #schedule(ms: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      this.#looking ??= this.#begin();
      await withDeadline(this.#looking, this.#options.timeoutMs, "list snapshots");
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing && !this.#isStopped)
        this.#options.onLog(`${messageOf(error)}; the snapshots shown may be out of date`);
      this.#isFailing = true;
    } finally {
      this.#schedule(this.#hasChanged ? SETTLE_MS : this.#options.intervalMs);
    }
  }

  #begin(): Promise<void> {
    this.#hasChanged = false;
    return this.#refresh().finally(() => {
      this.#looking = undefined;
    });
  }
}

async function isWatchable(folder: string): Promise<boolean> {
  try {
    return !REMOTE_FILESYSTEMS.has((await statfs(systemPath(folder))).type);
  } catch {
    return false;
  }
}
