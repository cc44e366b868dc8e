import type { Id } from "../bytes/id.js";
import type { LoadedSnapshot, Snapshot } from "../format/snapshot.js";
import { saveSnapshot } from "../repository/snapshots.js";
import type { Session } from "./session.js";

/**
 * Saves a changed snapshot, then removes the old one: killed in between, both are there and nothing is lost.
 *
 * @returns the ID of the new one
 */
export async function replaceSnapshot(
  { repository }: Session,
  old: LoadedSnapshot,
  changed: Snapshot,
): Promise<Id> {
  const id = await saveSnapshot(repository, changed);
  await repository.removeFile("snapshot", old.id);
  return id;
}
