/**
 * Times written by a layout as Go's package `time` has it: the reference time Mon Jan 2 15:04:05 MST 2006 shows how
 * each part looks. Tokens and their order of recognition follow the package's documentation.
 */

import type { Timestamp } from "../format/timestamp.js";

/** Go's `time.RFC3339`, the default of the mount. */
export const RFC3339 = "2006-01-02T15:04:05Z07:00";

const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

interface Moment {
  readonly date: Date;
  readonly nanoseconds: number;
  readonly zoneMinutes: number;
}

type Writer = (moment: Moment) => string;

/** Longer tokens stand before their own beginnings: the first that fits is taken. */
const TOKENS: readonly (readonly [string, Writer])[] = [
  ["January", ({ date }) => MONTHS[date.getUTCMonth()]!],
  ["Jan", ({ date }) => MONTHS[date.getUTCMonth()]!.slice(0, 3)],
  ["Monday", ({ date }) => DAYS[date.getUTCDay()]!],
  ["Mon", ({ date }) => DAYS[date.getUTCDay()]!.slice(0, 3)],
  ["MST", zoneName],
  ["2006", ({ date }) => digits(date.getUTCFullYear(), 4)],
  ["002", ({ date }) => digits(dayOfYear(date), 3)],
  ["01", ({ date }) => digits(date.getUTCMonth() + 1, 2)],
  ["02", ({ date }) => digits(date.getUTCDate(), 2)],
  ["03", ({ date }) => digits(hour12(date), 2)],
  ["04", ({ date }) => digits(date.getUTCMinutes(), 2)],
  ["05", ({ date }) => digits(date.getUTCSeconds(), 2)],
  ["06", ({ date }) => digits(date.getUTCFullYear() % 100, 2)],
  ["15", ({ date }) => digits(date.getUTCHours(), 2)],
  ["1", ({ date }) => String(date.getUTCMonth() + 1)],
  ["__2", ({ date }) => String(dayOfYear(date)).padStart(3)],
  // Go reads "_2006" as an underscore before the year.
  ["_2006", ({ date }) => `_${digits(date.getUTCFullYear(), 4)}`],
  ["_2", ({ date }) => String(date.getUTCDate()).padStart(2)],
  ["2", ({ date }) => String(date.getUTCDate())],
  ["3", ({ date }) => String(hour12(date))],
  ["4", ({ date }) => String(date.getUTCMinutes())],
  ["5", ({ date }) => String(date.getUTCSeconds())],
  ["PM", ({ date }) => (date.getUTCHours() >= 12 ? "PM" : "AM")],
  ["pm", ({ date }) => (date.getUTCHours() >= 12 ? "pm" : "am")],
  ["-07:00:00", (moment) => offset(moment, ":", 3)],
  ["-070000", (moment) => offset(moment, "", 3)],
  ["-07:00", (moment) => offset(moment, ":", 2)],
  ["-0700", (moment) => offset(moment, "", 2)],
  ["-07", (moment) => offset(moment, "", 1)],
  ["Z07:00:00", (moment) => offset(moment, ":", 3, "Z")],
  ["Z070000", (moment) => offset(moment, "", 3, "Z")],
  ["Z07:00", (moment) => offset(moment, ":", 2, "Z")],
  ["Z0700", (moment) => offset(moment, "", 2, "Z")],
  ["Z07", (moment) => offset(moment, "", 1, "Z")],
];

/** ".000" writes so many digits, ".999" leaves trailing zeros out; a comma does as well. Not before another digit. */
const FRACTION = /^[.,](0+|9+)(?![0-9])/;

/** Writes a moment in its own zone. What is no token of the layout stands for itself. */
export function formatTimeLayout(layout: string, timestamp: Timestamp): string {
  const moment: Moment = {
    date: new Date((timestamp.seconds + 60 * timestamp.zoneMinutes) * 1000),
    nanoseconds: timestamp.nanoseconds,
    zoneMinutes: timestamp.zoneMinutes,
  };
  let text = "";
  for (let at = 0; at < layout.length; ) {
    const rest = layout.slice(at);
    const token = TOKENS.find(([name]) => startsWithToken(rest, name));
    const fraction = token ? null : FRACTION.exec(rest);
    if (token) text += token[1](moment);
    else if (fraction) text += formatFraction(fraction[0], moment.nanoseconds);
    else text += layout[at];
    at += token?.[0].length ?? fraction?.[0].length ?? 1;
  }
  return text;
}

/** Go takes "Jan" and "Mon" only where no lower-case letter follows: "Month" is a word. */
function startsWithToken(text: string, name: string): boolean {
  if (!text.startsWith(name)) return false;
  return (name !== "Jan" && name !== "Mon") || !/^[a-z]/.test(text.slice(3));
}

function digits(value: number, width: number): string {
  return String(value).padStart(width, "0");
}

function hour12(date: Date): number {
  return date.getUTCHours() % 12 || 12;
}

function dayOfYear(date: Date): number {
  const newYear = new Date(date);
  newYear.setUTCMonth(0, 1);
  return Math.round((date.getTime() - newYear.getTime()) / 86_400_000) + 1;
}

function offset(moment: Moment, separator: string, parts: number, utc?: string): string {
  if (utc !== undefined && moment.zoneMinutes === 0) return utc;
  const minutes = Math.abs(moment.zoneMinutes);
  const fields = [Math.floor(minutes / 60), minutes % 60, 0].slice(0, parts);
  return (moment.zoneMinutes < 0 ? "-" : "+") + fields.map((field) => digits(field, 2)).join(separator);
}

/** A stored time knows its offset but no name for it; Go then writes the offset. */
function zoneName(moment: Moment): string {
  if (moment.zoneMinutes === 0) return "UTC";
  return offset(moment, "", 2);
}

function formatFraction(token: string, nanoseconds: number): string {
  const places = token.length - 1;
  const shown = digits(nanoseconds, 9).slice(0, places);
  if (token[1] === "0") return token[0]! + shown.padEnd(places, "0");
  const trimmed = shown.replace(/0+$/, "");
  return trimmed === "" ? "" : token[0]! + trimmed;
}
