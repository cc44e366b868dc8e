import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatId, type Id } from "../bytes/id.js";
import { messageOf, throwIfAborted, UsageError, YoreError } from "../errors.js";
import {
  loadDamagedPack,
  type RepairPacksResult,
  type RepairPacksWatch,
  repairPacks,
} from "../maintenance/repair-packs.js";
import { requireWholeIndex } from "../maintenance/whole-index.js";
import type { Session } from "./session.js";

export interface RepairPacksOptions {
  readonly packIds: readonly Id[];
  /** Where copies of the packs are left, named `pack-<ID>`. */
  readonly copiesFolder: string;
}

/**
 * Takes damaged packs of a session's repository apart, which should hold the exclusive lock. See `repairPacks`.
 *
 * @throws {UsageError} if a pack is not there, or there is a copy already
 */
export async function runRepairPacks(
  session: Session,
  { packIds, copiesFolder }: RepairPacksOptions,
  watch: RepairPacksWatch = {},
): Promise<RepairPacksResult> {
  const { repository, signal } = session;
  if (packIds.length === 0) throw new UsageError("no ids specified");
  await repository.loadIndex({ signal });
  requireWholeIndex(repository);
  for (const id of packIds) {
    throwIfAborted(signal);
    await keepCopy(join(copiesFolder, `pack-${formatId(id)}`), await loadDamagedPack(repository, id, signal));
  }
  return repairPacks(repository, packIds, { ...watch, signal });
}

async function keepCopy(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes, { flag: "wx", flush: true });
  } catch (cause) {
    throw new YoreError("backend", `Cannot save a copy of the pack: ${messageOf(cause)}`, {
      cause,
      hint: "Nothing was changed. Copies are made in the present folder, and never over a file that is there",
    });
  }
}
