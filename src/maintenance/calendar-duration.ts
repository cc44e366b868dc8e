import { UsageError } from "../errors.js";
import { localZoneMinutes, secondsOfLocalClock, type Timestamp } from "../format/timestamp.js";

/** A stretch of time as a calendar counts it: a month has as many days as it has. */
export interface CalendarDuration {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const UNITS = { y: "years", m: "months", d: "days", h: "hours" } as const;

/**
 * Reads "1y5m7d2h": signed numbers, each with its unit, in any order; of a unit that comes twice the last counts.
 *
 * @throws {UsageError} for anything else
 */
export function parseCalendarDuration(text: string): CalendarDuration {
  const duration = { years: 0, months: 0, days: 0, hours: 0 };
  let rest = text.trim();
  while (rest !== "") {
    const match = /^(-?\d{1,9})([ymdh])/.exec(rest);
    if (!match) throw new UsageError(`invalid duration "${text}": wanted numbers with units, like 1y5m7d2h`);
    duration[UNITS[match[2] as keyof typeof UNITS]] = Number(match[1]);
    rest = rest.slice(match[0].length);
  }
  return duration;
}

/** "1y5m7d2h"; "" for none. */
export function formatCalendarDuration(duration: CalendarDuration): string {
  return Object.entries(UNITS)
    .map(([letter, unit]) => (duration[unit] === 0 ? "" : `${duration[unit]}${letter}`))
    .join("");
}

/**
 * The moment so much earlier. Years, months and days are taken off the date in the moment's own zone; a day that the
 * month does not have runs on into the next. Hours are taken off last and are hours.
 *
 * A zone that is the local one at that moment stands for the local one at every other, summer time included, as Go
 * takes what it reads; `Z` is never more than UTC.
 */
export function earlierBy(moment: Timestamp, duration: CalendarDuration): Timestamp {
  const { seconds, zoneMinutes, nanoseconds } = moment;
  const clock = new Date((seconds + zoneMinutes * 60) * 1000);
  clock.setUTCFullYear(
    clock.getUTCFullYear() - duration.years,
    clock.getUTCMonth() - duration.months,
    clock.getUTCDate() - duration.days,
  );
  const earlier = clock.getTime() / 1000;
  const isNamed = zoneMinutes === 0 && !moment.isNumericZero;
  const isLocal = !isNamed && zoneMinutes === localZoneMinutes(seconds);
  const whole = isLocal ? secondsOfLocalClock(earlier) : earlier - zoneMinutes * 60;
  return { seconds: whole - duration.hours * 3600, nanoseconds, zoneMinutes };
}
