import { formatId, formatShortId } from "../bytes/id.js";
import { encodeSnapshot, type LoadedSnapshot } from "../format/snapshot.js";

/** A snapshot as restic's JSON output has it: the file's own members, then `id` and `short_id`, then more. */
export function snapshotJson(snapshot: LoadedSnapshot, more: Readonly<Record<string, string>> = {}): string {
  const members = { id: formatId(snapshot.id), short_id: formatShortId(snapshot.id), ...more };
  return `${encodeSnapshot(snapshot).toString().slice(0, -1)},${JSON.stringify(members).slice(1)}`;
}
