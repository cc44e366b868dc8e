import { loadAddon } from "../native/addon.js";

/** Time enough to write what Node.js writes at its end, profiles for instance. */
const PATIENCE_MS = 3_000;

/**
 * Sees to it that a process that exits does end: Node.js would wait for file operations under way, and those on a disk
 * that hangs never return. Without the addon there is no such limit.
 */
export function endInTime(code: number): void {
  loadAddon()?.exitWithin(code, PATIENCE_MS);
}
