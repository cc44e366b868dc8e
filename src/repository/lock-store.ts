import type { Id } from "../bytes/id.js";

/** What locks need of a repository. */
export interface LockStore {
  listFiles(type: "lock"): AsyncIterable<{ readonly id: Id; readonly size: number }>;
  loadFile(type: "lock", id: Id, signal?: AbortSignal): Promise<Uint8Array>;
  saveFile(type: "lock", json: Uint8Array): Promise<Id>;
  removeFile(type: "lock", id: Id): Promise<void>;
}
