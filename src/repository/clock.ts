import { localZoneMinutes, type Timestamp } from "../format/timestamp.js";

/** A moment of `Date.now()` in the local zone, as key, lock and snapshot files carry it. */
export function timestampFromMs(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return {
    seconds,
    nanoseconds: Math.floor(ms - seconds * 1000) * 1_000_000,
    zoneMinutes: localZoneMinutes(seconds),
  };
}

export function timestampNow(): Timestamp {
  return timestampFromMs(Date.now());
}
