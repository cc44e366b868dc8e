import { type RecoverResult, type RecoverWatch, recover } from "../maintenance/recover.js";
import { type RepairIndexEvent, type RepairIndexProgress, repairIndex } from "../maintenance/repair-index.js";
import { programVersion } from "./program-version.js";
import type { Session } from "./session.js";

export interface RecoverCommandWatch extends RecoverWatch {
  readonly indexProgress?: RepairIndexProgress | undefined;
  readonly onIndex?: ((event: RepairIndexEvent) => void) | undefined;
  /** The index is whole, and is loaded now. */
  readonly onIndexRepaired?: (() => void) | undefined;
}

/** Repairs the index of a session's repository, which should hold the exclusive lock, then recovers. See `recover`. */
export async function runRecover(session: Session, watch: RecoverCommandWatch = {}): Promise<RecoverResult> {
  const { repository, signal } = session;
  await repairIndex(repository, {}, { signal, progress: watch.indexProgress, on: watch.onIndex });
  watch.onIndexRepaired?.();
  await repository.loadIndex({ signal });
  return recover(repository, `yore ${programVersion()}`, { ...watch, signal });
}
