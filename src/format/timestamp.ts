import { FormatError } from "../errors.js";

/**
 * A moment as restic writes it: RFC 3339 with up to nine decimals and the zone it was taken in. Whole seconds are a
 * plain number, exact for every year from 0 to 9999; nanoseconds stand apart, so nothing is ever rounded.
 */
export interface Timestamp {
  /** Seconds since 1970-01-01T00:00:00Z; negative before. */
  readonly seconds: number;
  /** 0 to 999,999,999, always counted forward from `seconds`. */
  readonly nanoseconds: number;
  /**
   * Minutes east of UTC; only how the moment is written, never which moment it is. A fraction means a zone with
   * seconds, as places had before they agreed on whole hours; RFC 3339 has no room for it (see `formatTimestamp`).
   */
  readonly zoneMinutes: number;
  /**
   * True for what was written with `+00:00`. Both are written `Z`, but only that may mean the local zone: see
   * `calendar-duration.ts`.
   */
  readonly isNumericZero?: true;
}

/** Which moment it is, however it is written. */
export type Moment = Pick<Timestamp, "seconds" | "nanoseconds">;

const DAY_SECONDS = 86_400;
const NS_PER_SECOND = 1_000_000_000n;
/** The Gregorian calendar repeats after 400 years, weekdays included. */
const ERA_DAYS = 146_097;
const ERA_SECONDS = ERA_DAYS * DAY_SECONDS;
/** Days from 0000-03-01, where the arithmetic below begins its years, to 1970-01-01. */
const EPOCH_DAYS = 719_468;

const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON = 0x3a;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const NO_NUMBER = 1_000_000;

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Go's zero time, which stands for "unknown" in trees of rustic. */
export const ZERO_TIME: Timestamp = Object.freeze({
  seconds: -62_135_596_800,
  nanoseconds: 0,
  zoneMinutes: 0,
});

/**
 * Reads RFC 3339 as Go does: upper-case `T` and `Z`, any number of decimals of which nine count, no leap second.
 *
 * @throws {FormatError} for everything else
 */
export function parseTimestamp(text: string): Timestamp {
  const timestamp = parseTimestampBytes(Buffer.from(text, "utf8"));
  if (timestamp !== undefined) return timestamp;
  throw new FormatError(`Cannot read time: want RFC 3339, have ${JSON.stringify(text.slice(0, 80))}`);
}

/**
 * As `parseTimestamp`, from the ASCII between two offsets; `undefined` for everything else.
 *
 * @param likely what it probably is, which spares making it anew
 */
export function parseTimestampBytes(
  text: Uint8Array,
  start = 0,
  end = text.length,
  likely = ZERO_TIME,
): Timestamp | undefined {
  const length = end - start;
  if (length < 20 || text[start + 4] !== DASH || text[start + 7] !== DASH) return undefined;
  if (text[start + 10] !== LETTER_T || text[start + 13] !== COLON || text[start + 16] !== COLON)
    return undefined;
  const year = twoDigits(text, start) * 100 + twoDigits(text, start + 2);
  const month = twoDigits(text, start + 5);
  const day = twoDigits(text, start + 8);
  const hour = twoDigits(text, start + 11);
  const minute = twoDigits(text, start + 14);
  const second = twoDigits(text, start + 17);
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const days = daysOfDate(year, month, day);
  if (days === undefined) return undefined;

  let at = start + 19;
  let nanoseconds = 0;
  if (text[at] === DOT) {
    let scale = 100_000_000;
    const first = ++at;
    for (; at < end && isDigit(text[at]!); at++) {
      nanoseconds += (text[at]! - DIGIT_0) * scale;
      scale = Math.floor(scale / 10);
    }
    if (at === first) return undefined;
  }
  const zoneMinutes = parseZone(text, at, end);
  if (zoneMinutes === undefined) return undefined;
  const clock = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
  const seconds = clock - zoneMinutes * 60;
  if (zoneMinutes === 0 && text[at] !== LETTER_Z)
    return { seconds, nanoseconds, zoneMinutes, isNumericZero: true };
  const same =
    likely.seconds === seconds &&
    likely.nanoseconds === nanoseconds &&
    likely.zoneMinutes === zoneMinutes &&
    !likely.isNumericZero;
  return same ? likely : { seconds, nanoseconds, zoneMinutes };
}

/**
 * Writes a moment as restic does: Go's RFC3339Nano with trailing zeros of the fraction removed and `Z` for UTC.
 *
 * - A year outside 0 to 9999 becomes 0 or 9999, the rest of the date stays (29 February becomes 1 March where it must).
 * - A zone with seconds shows its minutes only, while the clock time keeps the seconds, as Go has it: what is read
 *   back is then up to a minute off. Trees that should be equal to restic's have to do the same.
 */
export function formatTimestamp(timestamp: Timestamp): string {
  return scratch.toString("latin1", 0, writeTimestamp(timestamp, scratch, 0));
}

/** "2026-11-22 14:51:26" in the local zone. */
export function formatLocalTime(time: Timestamp): string {
  const local = { seconds: time.seconds, nanoseconds: 0, zoneMinutes: localZoneMinutes(time.seconds) };
  return formatTimestamp(local).slice(0, 19).replace("T", " ");
}

/** The longest text that `writeTimestamp` writes. */
export const MAX_TIMESTAMP_LENGTH = 35;
const scratch = Buffer.alloc(MAX_TIMESTAMP_LENGTH);

/** As `formatTimestamp`, as ASCII into bytes at an offset. @returns the offset behind it */
export function writeTimestamp(timestamp: Timestamp, into: Uint8Array, offset: number): number {
  const zoneSeconds = Math.round(timestamp.zoneMinutes * 60);
  const clock = timestamp.seconds + zoneSeconds;
  const days = Math.floor(clock / DAY_SECONDS);
  const ofDay = clock - days * DAY_SECONDS;
  writeDate(days, into, offset);
  into[offset + 10] = LETTER_T;
  putTwoDigits(into, offset + 11, Math.floor(ofDay / 3600));
  into[offset + 13] = COLON;
  putTwoDigits(into, offset + 14, Math.floor(ofDay / 60) % 60);
  into[offset + 16] = COLON;
  putTwoDigits(into, offset + 17, ofDay % 60);
  const at = writeFraction(timestamp.nanoseconds, into, offset + 19);
  return writeZone(zoneSeconds, into, at);
}

/** The moment that is so many nanoseconds after 1970-01-01T00:00:00Z. */
export function timestampFromNs(ns: bigint, zoneMinutes: number): Timestamp {
  let seconds = ns / NS_PER_SECOND;
  let nanoseconds = ns % NS_PER_SECOND;
  if (nanoseconds < 0n) {
    seconds -= 1n;
    nanoseconds += NS_PER_SECOND;
  }
  return { seconds: Number(seconds), nanoseconds: Number(nanoseconds), zoneMinutes };
}

/** Nanoseconds since 1970-01-01T00:00:00Z. */
export function timestampNs(timestamp: Timestamp): bigint {
  return BigInt(timestamp.seconds) * NS_PER_SECOND + BigInt(timestamp.nanoseconds);
}

/** Negative, zero or positive as the first moment is before, at or after the second; zones do not matter. */
export function compareTimestamps(a: Moment, b: Moment): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** True if both are the same moment, in whatever zone they are written. */
export function equalMoments(a: Moment, b: Moment): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

const QUARTER_SECONDS = 900;
const zoneCache = new Map<number, number>();
const ZONE_CACHE_ENTRIES = 100_000;
/** Seconds that a JavaScript Date can hold, with a day to spare for the zone. */
const DATE_LIMIT_SECONDS = 8.64e12 - DAY_SECONDS;

/**
 * Minutes east of UTC that the local zone has at a moment; a fraction where the zone has seconds (before about 1900).
 * Zones change at whole quarters of an hour, so quarters are what is remembered: a process keeps the zone it started in.
 *
 * The runtime's own time zone data answers, not that of the system, which restic reads: before 1970 the two differ for
 * some zones (system data may be thinned out less), and after a change of law the older of the two is wrong. The moment
 * is right all the same; only the tree is not shared then.
 */
export function localZoneMinutes(seconds: number): number {
  const quarter = Math.floor(seconds / QUARTER_SECONDS);
  let minutes = zoneCache.get(quarter);
  if (minutes === undefined) {
    if (zoneCache.size >= ZONE_CACHE_ENTRIES) zoneCache.clear();
    minutes = askZone(quarter * QUARTER_SECONDS);
    zoneCache.set(quarter, minutes);
  }
  return minutes;
}

/**
 * The moment at which clocks of the local zone show a time, given as if it were UTC. Of two such moments, or none, the
 * one that Go takes: the zone is asked for twice, first as if the clock were UTC.
 */
export function secondsOfLocalClock(clock: number): number {
  const guess = clock - Math.round(localZoneMinutes(clock) * 60);
  return clock - Math.round(localZoneMinutes(guess) * 60);
}

function askZone(seconds: number): number {
  let within = seconds;
  if (Math.abs(seconds) > DATE_LIMIT_SECONDS)
    within =
      seconds -
      Math.sign(seconds) * Math.ceil((Math.abs(seconds) - DATE_LIMIT_SECONDS) / ERA_SECONDS) * ERA_SECONDS;
  const date = new Date(within * 1000);
  const clockDays = daysFromCivil(date.getFullYear(), date.getMonth() + 1, date.getDate());
  const clock = clockDays * DAY_SECONDS + date.getHours() * 3600 + date.getMinutes() * 60 + date.getSeconds();
  return (clock - within) / 60;
}

/** Days since 1970-01-01 of a date of the Gregorian calendar, before 1582 as well. Days beyond the month run on. */
function daysFromCivil(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * ERA_DAYS + dayOfEra - EPOCH_DAYS;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

// Many times of a tree are of one day, and the calendar is half of the work of reading a time.
let knownDate = 0;
let knownDays = 0;

/** Days since 1970-01-01; `undefined` unless the date exists and its year has four digits. */
function daysOfDate(year: number, month: number, day: number): number | undefined {
  const date = (year * 100 + month) * 100 + day;
  if (date !== knownDate) {
    const exists = year < 10_000 && month >= 1 && month <= 12 && day >= 1 && day <= daysOfMonth(year, month);
    if (!exists) return undefined;
    knownDays = daysFromCivil(year, month, day);
    knownDate = date;
  }
  return knownDays;
}

function daysOfMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : MONTH_DAYS[month - 1]!;
}

/** Two decimal digits; anything else is NO_NUMBER, which is beyond every bound, sums included. */
function twoDigits(text: Uint8Array, at: number): number {
  const high = text[at]!;
  const low = text[at + 1]!;
  return isDigit(high) && isDigit(low) ? (high - DIGIT_0) * 10 + (low - DIGIT_0) : NO_NUMBER;
}

function isDigit(byte: number): boolean {
  return byte >= DIGIT_0 && byte <= DIGIT_9;
}

/** Minutes east of UTC of the zone that the text ends with. */
function parseZone(text: Uint8Array, at: number, end: number): number | undefined {
  const sign = text[at];
  if (sign === LETTER_Z) return end === at + 1 ? 0 : undefined;
  if ((sign !== PLUS && sign !== DASH) || end !== at + 6 || text[at + 3] !== COLON) return undefined;
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (hours > 23 || minutes > 59) return undefined;
  const zone = hours * 60 + minutes;
  return sign === DASH && zone !== 0 ? -zone : zone;
}

function writeDate(days: number, into: Uint8Array, at: number): void {
  let date = civilFromDays(days);
  if (date.year < 0 || date.year > 9999)
    date = civilFromDays(daysFromCivil(date.year < 0 ? 0 : 9999, date.month, date.day));
  putTwoDigits(into, at, Math.floor(date.year / 100));
  putTwoDigits(into, at + 2, date.year % 100);
  into[at + 4] = DASH;
  putTwoDigits(into, at + 5, date.month);
  into[at + 7] = DASH;
  putTwoDigits(into, at + 8, date.day);
}

function writeFraction(nanoseconds: number, into: Uint8Array, at: number): number {
  if (nanoseconds === 0) return at;
  let digits = 9;
  let value = nanoseconds;
  while (value % 10 === 0) {
    value /= 10;
    digits -= 1;
  }
  into[at] = DOT;
  for (let i = digits; i > 0; i--) {
    into[at + i] = DIGIT_0 + (value % 10);
    value = Math.floor(value / 10);
  }
  return at + 1 + digits;
}

function writeZone(zoneSeconds: number, into: Uint8Array, at: number): number {
  if (zoneSeconds === 0) {
    into[at] = LETTER_Z;
    return at + 1;
  }
  const minutes = Math.trunc(zoneSeconds / 60);
  into[at] = minutes < 0 ? DASH : PLUS;
  putTwoDigits(into, at + 1, Math.floor(Math.abs(minutes) / 60));
  into[at + 3] = COLON;
  putTwoDigits(into, at + 4, Math.abs(minutes) % 60);
  return at + 6;
}

function putTwoDigits(into: Uint8Array, at: number, value: number): void {
  into[at] = DIGIT_0 + Math.floor(value / 10);
  into[at + 1] = DIGIT_0 + (value % 10);
}
