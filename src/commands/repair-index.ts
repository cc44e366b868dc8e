import {
  type RepairIndexOptions,
  type RepairIndexResult,
  type RepairIndexWatch,
  repairIndex,
} from "../maintenance/repair-index.js";
import type { Session } from "./session.js";

/** Repairs the index of a session's repository, which should hold the exclusive lock. See `repairIndex`. */
export function runRepairIndex(
  session: Session,
  options: RepairIndexOptions,
  watch: RepairIndexWatch = {},
): Promise<RepairIndexResult> {
  return repairIndex(session.repository, options, { ...watch, signal: session.signal });
}
