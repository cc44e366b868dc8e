import { formatShortId } from "../bytes/id.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { formatZonedTime } from "./times.js";

/** "snapshot 1a2b3c4d of [/home] at 2026-11-22 14:51:26 +0100 CET by ada@laptop", raw: not for a terminal as it is. */
export function snapshotTitle(snapshot: LoadedSnapshot): string {
  const user = `${snapshot.username}@${snapshot.hostname}`;
  return `snapshot ${formatShortId(snapshot.id)} of [${snapshot.paths.join(" ")}] at ${formatZonedTime(snapshot.time)} by ${user}`;
}
