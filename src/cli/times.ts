import { existsSync } from "node:fs";
import { formatTimestamp, localZoneMinutes, type Timestamp } from "../format/timestamp.js";
import type { Environment } from "./environment.js";

/** "2026-11-22 14:51:26.223529531 +0100 CET": the moment in its own zone, as Go's `Time.String` has it. */
export function formatZonedTime(time: Timestamp): string {
  const [, date, clock, sign, hours, minutes] =
    /^(\S+)T(\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|([+-])(\d\d):(\d\d))$/.exec(formatTimestamp(time)) ?? [];
  const offset = sign === undefined ? "+0000" : `${sign}${hours}${minutes}`;
  const isLocal = sign !== undefined && localZoneMinutes(time.seconds) === time.zoneMinutes;
  const name = sign === undefined ? "UTC" : isLocal ? localZoneName(time.seconds) : undefined;
  return `${date} ${clock} ${offset} ${name ?? offset}`;
}

/** "CET"; `undefined` when JavaScript knows no name but the offset. English of different countries knows different ones. */
export function localZoneName(seconds: number): string | undefined {
  for (const locale of ["en-GB", "en-US", "en-AU", "en-IN"]) {
    const name = new Intl.DateTimeFormat(locale, { timeZoneName: "short" })
      .formatToParts(seconds * 1000)
      .find((part) => part.type === "timeZoneName")?.value;
    if (name && !/^(GMT|UTC)[+-]/.test(name)) return name;
  }
  return undefined;
}

/**
 * What "local" means, as restic says it below its tables: the name in `TZ`, or "local time" when the machine decides.
 * A zone that nobody knows counts as UTC.
 */
export function localZoneTitle(env: Environment): string {
  const zone = env["TZ"]?.replace(/^:/, "");
  if (zone === undefined) return existsSync("/etc/localtime") ? "local time" : "UTC";
  try {
    if (!zone.startsWith("/")) new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone || "UTC";
  } catch {
    return "UTC";
  }
}

/** Reads "2012-11-01 22:08:41" in the local zone; `undefined` for anything else. */
export function parseLocalTime(text: string): Timestamp | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)$/.exec(text);
  if (!match) return undefined;
  const [year, month, day, hours, minutes, seconds] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(year, month - 1, day, hours, minutes, seconds);
  date.setFullYear(year);
  // The 31st of a short month, or the 25th hour, would silently be another moment.
  if (date.getMonth() !== month - 1 || date.getDate() !== day || hours > 23 || minutes > 59 || seconds > 59)
    return undefined;
  const moment = Math.floor(date.getTime() / 1000);
  return { seconds: moment, nanoseconds: 0, zoneMinutes: localZoneMinutes(moment) };
}
