import { join } from "node:path";
import { NotFoundError } from "../errors.js";
import type { FileType } from "./backend.js";
import { foldersOf } from "./local-layout.js";
import { syncFolder } from "./sync-folder.js";

/** What refers to other files, or opens them. */
const REFERRERS: ReadonlySet<FileType> = new Set(["snapshot", "index", "key"]);

/**
 * Sees to it that a snapshot or an index file that was removed does not come back with a loss of power while what it refers
 * to stays removed: backups would take for saved what an old index lists. File systems without a journal, and btrfs, write
 * removals down in any order; the former may even show the next new file under the old name. One sync of a folder for
 * all files that were removed from it in a row.
 */
export class LastingRemovals {
  readonly #repository: string;
  /** Folders to be synced, in this order, and the type of what was removed. */
  readonly #pending = new Map<string, FileType>();
  #syncing: Promise<void> | undefined;

  /** @param repository its folder */
  constructor(repository: string) {
    this.#repository = repository;
  }

  /** Waits until all earlier removals last, but those of the same type unless they are keys. Locks wait for nothing. */
  async beforeRemoval(type: FileType): Promise<void> {
    if (type === "lock") return;
    // A key that is asked for again after a failure may be gone already, and yet come back.
    const waits = type === "key" || [...this.#pending.values()].some((one) => one !== type);
    await (waits ? this.settle() : this.#syncing);
  }

  /** @param keptIn the folder into which the file was moved, if it was */
  afterRemoval(type: FileType, keptIn?: string): void {
    if (keptIn !== undefined) this.#pending.set(keptIn, type);
    if (!REFERRERS.has(type)) return;
    const folder = join(this.#repository, ...foldersOf({ type, name: "" }));
    this.#pending.delete(folder);
    this.#pending.set(folder, type);
  }

  /** Waits until all earlier removals last. @throws {YoreError} when that cannot be had */
  async settle(): Promise<void> {
    while (this.#syncing) await this.#syncing;
    if (this.#pending.size === 0) return;
    this.#syncing = this.#sync([...this.#pending]).finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  async #sync(pending: readonly (readonly [string, FileType])[]): Promise<void> {
    for (const [folder, type] of pending) {
      // Before the sync: what is removed meanwhile may not be part of it.
      this.#pending.delete(folder);
      try {
        await syncFolder(folder);
      } catch (error) {
        // Nothing comes back in a folder that is gone as well.
        if (error instanceof NotFoundError) continue;
        // As before in the order, which counts.
        const later = [...this.#pending].filter(([other]) => other !== folder);
        this.#pending.clear();
        for (const [other, itsType] of [[folder, type], ...later] as const) this.#pending.set(other, itsType);
        throw error;
      }
    }
  }
}
