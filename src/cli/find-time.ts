/**
 * The times of `find --oldest` and `--newest`: dates as people of two traditions write them, with less or more of a
 * clock behind, and what Go prints a time as.
 */

import { localZoneMinutes, secondsOfLocalClock, type Timestamp } from "../format/timestamp.js";
import { localZoneName } from "./times.js";

const DATE =
  "(?:(?<year>\\d{4})-(?<month>\\d\\d)-(?<day>\\d\\d)|(?<day2>\\d\\d)\\.(?<month2>\\d\\d)\\.(?<year2>\\d{4}))";
const CLOCK = "(?<hour>\\d\\d?):(?<minute>\\d\\d)";
const SECONDS = ":(?<second>\\d\\d)(?:[.,](?<fraction>\\d+))?";
const OFFSET = "(?<sign>[+-])(?<zoneHours>\\d\\d)(?<zoneMinutes>\\d\\d)";
const ZONE = "(?<zone>[A-Z]{3}|[A-Z]{3}T|WITA|[A-Z]{4}T|ChST|MeST|GMT[+-]\\d\\d?)";
const WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const FORMS = [
  `${DATE}(?: ${CLOCK}(?:${SECONDS}(?: (?:${OFFSET}|${ZONE}))?)?)?`,
  `${WEEKDAY} (?<monthName>${MONTHS.join("|")}) +(?<day>\\d\\d?) ${CLOCK}${SECONDS} ${OFFSET} ${ZONE} (?<year>\\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/**
 * Reads a time in one of restic's eleven forms; without a zone the local one is meant. A zone that is named counts if
 * it is one that the local zone has in summer or winter, and as UTC otherwise, as in Go.
 *
 * @returns `undefined` for anything else
 */
export function parseFindTime(text: string): Timestamp | undefined {
  const groups = FORMS.map((form) => form.exec(text)?.groups).find((found) => found !== undefined);
  if (!groups) return undefined;
  const year = Number(groups["year"] ?? groups["year2"]);
  const named = groups["monthName"];
  const month = named === undefined ? Number(groups["month"] ?? groups["month2"]) : MONTHS.indexOf(named) + 1;
  const day = Number(groups["day"] ?? groups["day2"]);
  const [hour, minute, second] = [groups["hour"], groups["minute"], groups["second"]].map((part) =>
    Number(part ?? 0),
  ) as [number, number, number];
  const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
  date.setUTCFullYear(year, month - 1, day);
  // The 31st of a short month, or the 25th hour, would silently be another moment.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const clock = date.getTime() / 1000;
  const nanoseconds = Number((groups["fraction"] ?? "").slice(0, 9).padEnd(9, "0"));
  const zone = zoneOf(groups, clock);
  if (zone !== undefined) return { seconds: clock - zone * 60, nanoseconds, zoneMinutes: zone };
  const seconds = secondsOfLocalClock(clock);
  return { seconds, nanoseconds, zoneMinutes: localZoneMinutes(seconds) };
}

/** Minutes east of UTC that a time says; `undefined` for the local zone. */
function zoneOf(groups: Readonly<Record<string, string | undefined>>, clock: number): number | undefined {
  const { sign, zone } = groups;
  if (sign !== undefined)
    return Number(`${sign}1`) * (Number(groups["zoneHours"]) * 60 + Number(groups["zoneMinutes"]));
  return zone === undefined ? undefined : namedZoneMinutes(zone, clock);
}

const QUARTER_YEAR_SECONDS = 91 * 86_400;

function namedZoneMinutes(name: string, clock: number): number {
  for (const quarters of [0, 1, 2, 3]) {
    const seconds = clock - quarters * QUARTER_YEAR_SECONDS;
    if (localZoneName(seconds) === name) return localZoneMinutes(seconds);
  }
  return 0;
}
