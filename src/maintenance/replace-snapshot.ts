import { equalIds, type Id } from "../bytes/id.js";
import { encodeSnapshot, type LoadedSnapshot, type Snapshot } from "../format/snapshot.js";
import type { Repository } from "../repository/repository.js";
import { saveSnapshot } from "../repository/snapshots.js";

export interface ReplaceOptions {
  /** Only say what would be done. */
  readonly dryRun: boolean;
  /** Remove the old snapshot; otherwise the new one gets the tag. */
  readonly forget: boolean;
  /** What tells a new snapshot from the one that it was made from. */
  readonly tag: string;
  /**
   * Snapshots that are there: with `forget`, one that says just what the new one would say is taken for it. An earlier
   * attempt was stopped before it removed the old one.
   */
  readonly existing?: readonly LoadedSnapshot[] | undefined;
  /** What else is new. */
  readonly changes?: Partial<Pick<Snapshot, "hostname" | "time" | "summary">> | undefined;
}

/** What became of a snapshot. */
export type Replaced =
  | { readonly kind: "unchanged" }
  /** Nothing was left of it. */
  | { readonly kind: "removed" }
  /** `id` is missing in a dry run. */
  | { readonly kind: "replaced"; readonly id: Id | undefined; readonly removedOld: boolean };

/**
 * Saves a snapshot with another tree, behind its blobs, and removes the old one only then.
 *
 * @param tree the new one, saved; `undefined` when nothing is left: then the snapshot goes
 */
export async function replaceSnapshot(
  repository: Repository,
  snapshot: LoadedSnapshot,
  tree: Id | undefined,
  { dryRun, forget, tag, existing = [], changes = {} }: ReplaceOptions,
): Promise<Replaced> {
  if (!tree) {
    if (!dryRun) await repository.removeFile("snapshot", snapshot.id);
    return { kind: "removed" };
  }
  if (equalIds(tree, snapshot.tree) && Object.keys(changes).length === 0) return { kind: "unchanged" };
  if (dryRun) return { kind: "replaced", id: undefined, removedOld: forget };
  await repository.flush();
  const { id: original, ...fields } = snapshot;
  const tags = forget || fields.tags.includes(tag) ? fields.tags : [...fields.tags, tag];
  const replacement: Snapshot = { ...fields, ...changes, tree, original, tags };
  const json = encodeSnapshot(replacement);
  const earlier = forget ? existing.find((other) => encodeSnapshot(other).equals(json)) : undefined;
  const id = earlier?.id ?? (await saveSnapshot(repository, replacement));
  if (forget) await repository.removeFile("snapshot", snapshot.id);
  return { kind: "replaced", id, removedOld: forget };
}
