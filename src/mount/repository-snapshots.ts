import { mapConcurrently } from "../async/map-concurrently.js";
import { formatShortId, type Id, idKey } from "../bytes/id.js";
import { messageOf, NotFoundError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { confirmThere } from "../repository/confirm-there.js";
import type { Repository } from "../repository/repository.js";
import {
  loadSnapshot,
  matchesFilter,
  SNAPSHOTS_AT_A_TIME,
  type SnapshotFilter,
} from "../repository/snapshots.js";
import type { SnapshotSource } from "../snapfs/snapshot-filesystem.js";

/**
 * The list of snapshots of a repository, cheap to ask for again: files that are known are not read twice, and when
 * there are new ones the index is brought up to date before anybody sees them.
 */
export class RepositorySnapshots implements SnapshotSource {
  readonly #repository: Repository;
  readonly #filter: SnapshotFilter;
  readonly #onLog: (line: string) => void;
  #known = new Map<string, LoadedSnapshot>();
  /** Told once, tried again each time. */
  readonly #unreadable = new Set<string>();
  #isFirst = true;

  constructor(repository: Repository, filter: SnapshotFilter, onLog: (line: string) => void) {
    this.#repository = repository;
    this.#filter = filter;
    this.#onLog = onLog;
  }

  /** @throws {YoreError} when they cannot be listed, or the repository is not there any more */
  async list(): Promise<readonly LoadedSnapshot[]> {
    const known = new Map<string, LoadedSnapshot>();
    const fresh: Id[] = [];
    for await (const { id } of this.#repository.listFiles("snapshot")) {
      const snapshot = this.#known.get(idKey(id));
      if (snapshot) known.set(idKey(id), snapshot);
      else fresh.push(id);
    }
    if (known.size + fresh.length === 0 && this.#known.size > 0)
      await confirmThere(this.#repository.backend, "snapshots");
    const concurrency = Math.max(SNAPSHOTS_AT_A_TIME, this.#repository.backend.connections);
    for (const snapshot of await mapConcurrently(fresh, concurrency, (id) => this.#load(id))) {
      if (snapshot) known.set(idKey(snapshot.id), snapshot);
    }
    // At the start the index is loaded anyway, and after this list: so it knows all that is on it.
    if (!this.#isFirst && fresh.length > 0) await this.#repository.loadIndex();
    this.#isFirst = false;
    this.#known = known;
    return [...known.values()].filter((snapshot) => matchesFilter(snapshot, this.#filter));
  }

  async #load(id: Id): Promise<LoadedSnapshot | undefined> {
    try {
      return await loadSnapshot(this.#repository, id);
    } catch (error) {
      // Forgotten since it was listed.
      if (error instanceof NotFoundError) return undefined;
      if (!this.#unreadable.has(idKey(id)))
        this.#onLog(`Cannot show snapshot ${formatShortId(id)}: ${messageOf(error)}`);
      this.#unreadable.add(idKey(id));
      return undefined;
    }
  }
}
