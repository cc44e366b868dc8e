/**
 * Which snapshots a policy keeps: restic's rules. A pure function; whoever calls it groups the snapshots before and
 * removes them behind.
 */

import type { LoadedSnapshot, Snapshot } from "../format/snapshot.js";
import { compareTimestamps, type Timestamp, ZERO_TIME } from "../format/timestamp.js";
import { hasTags } from "../repository/snapshots.js";
import { type CalendarDuration, earlierBy, formatCalendarDuration } from "./calendar-duration.js";

/** The newest snapshots of so many hours, days ...; 0 for no such rule, `Infinity` for all of them. */
export interface KeepCounts {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

/** The newest snapshot of each hour, day ... of a time before the newest of all; `undefined` for no such rule. */
export interface KeepWithin {
  /** All snapshots. */
  readonly all?: CalendarDuration | undefined;
  readonly hourly?: CalendarDuration | undefined;
  readonly daily?: CalendarDuration | undefined;
  readonly weekly?: CalendarDuration | undefined;
  readonly monthly?: CalendarDuration | undefined;
  readonly yearly?: CalendarDuration | undefined;
}

export interface ForgetPolicy {
  readonly counts: KeepCounts;
  readonly within: KeepWithin;
  /** Snapshots with all tags of any of these lists; the tag "" stands for a snapshot without tags. */
  readonly tags: readonly (readonly string[])[];
}

export const KEEP_NOTHING: ForgetPolicy = {
  counts: { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 },
  within: {},
  tags: [],
};

export interface KeptSnapshot {
  readonly snapshot: LoadedSnapshot;
  /** Why, in restic's words: "daily snapshot", "within 1y2m", "has tags [a, b]". Never empty. */
  readonly reasons: readonly string[];
}

export interface ForgetDecision {
  /** Newest first. */
  readonly keep: readonly KeptSnapshot[];
  /** Newest first. */
  readonly remove: readonly LoadedSnapshot[];
}

type Period = keyof KeepCounts;

const PERIODS: readonly Period[] = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];

/** True if the policy has no rule, and so keeps nothing. */
export function isEmptyPolicy({ counts, within, tags }: ForgetPolicy): boolean {
  const counted = PERIODS.some((period) => counts[period] !== 0);
  return !counted && Object.values(within).every((duration) => duration === undefined) && tags.length === 0;
}

/**
 * Decides about the snapshots of one group. Going from the newest to the oldest, a rule keeps the first of each of its
 * periods while its count lasts, and the oldest snapshot of all if some of the count is left then, so that the history
 * is as long as it can be. Periods are those of the calendar in each snapshot's own zone.
 *
 * @param now snapshots after it are not what the times of `within` are counted from
 */
export function applyForgetPolicy(
  snapshots: readonly LoadedSnapshot[],
  policy: ForgetPolicy,
  now: Timestamp,
): ForgetDecision {
  const newestFirst = [...snapshots].sort((a, b) => compareTimestamps(b.time, a.time));
  const reference = newestFirst.find(({ time }) => compareTimestamps(time, now) < 0)?.time ?? ZERO_TIME;
  const rules = makeRules(policy, reference);
  const keep: KeptSnapshot[] = [];
  const remove: LoadedSnapshot[] = [];
  for (const [position, snapshot] of newestFirst.entries()) {
    const isOldest = position === newestFirst.length - 1;
    const reasons = rules
      .map((rule) => rule(snapshot, position, isOldest))
      .filter((reason) => reason !== undefined);
    if (reasons.length > 0) keep.push({ snapshot, reasons });
    else remove.push(snapshot);
  }
  return { keep, remove };
}

/** Asked about each snapshot, newest first. @returns why it is kept */
type Rule = (snapshot: Snapshot, position: number, isOldest: boolean) => string | undefined;

function makeRules({ counts, within, tags }: ForgetPolicy, reference: Timestamp): Rule[] {
  const rules: Rule[] = tags.map((list) => {
    const reason = `has tags [${list.join(", ")}]`;
    return (snapshot) => (hasTags(snapshot, list) ? reason : undefined);
  });
  if (within.all) {
    const isWithin = withinRule(reference, within.all);
    const reason = `within ${formatCalendarDuration(within.all)}`;
    rules.push((snapshot) => (isWithin(snapshot) ? reason : undefined));
  }
  for (const period of PERIODS)
    if (counts[period] !== 0) rules.push(periodRule(period, counts[period], `${period} snapshot`));
  for (const period of PERIODS) {
    const duration = period === "last" ? undefined : within[period];
    if (!duration) continue;
    const isWithin = withinRule(reference, duration);
    const rule = periodRule(period, Infinity, `${period} within ${formatCalendarDuration(duration)}`);
    rules.push((snapshot, ...where) => (isWithin(snapshot) ? rule(snapshot, ...where) : undefined));
  }
  return rules;
}

function withinRule(reference: Timestamp, duration: CalendarDuration): (snapshot: Snapshot) => boolean {
  const start = earlierBy(reference, duration);
  return ({ time }) => compareTimestamps(time, start) > 0;
}

function periodRule(period: Period, count: number, reason: string): Rule {
  let left = count;
  let last: number | undefined;
  return (snapshot, position, isOldest) => {
    if (left === 0) return undefined;
    const here = period === "last" ? position : periodNumber(period, snapshot.time);
    const isNew = here !== last;
    if (!isNew && !isOldest) return undefined;
    last = here;
    left--;
    return isNew ? reason : `oldest ${reason}`;
  };
}

const DAY_MS = 86_400_000;

/** A number that all moments of an hour, day ... share, and no other ones. */
function periodNumber(period: Exclude<Period, "last">, { seconds, zoneMinutes }: Timestamp): number {
  const clock = new Date((seconds + zoneMinutes * 60) * 1000);
  switch (period) {
    case "hourly":
      return Math.floor(clock.getTime() / 3_600_000);
    case "daily":
      return Math.floor(clock.getTime() / DAY_MS);
    case "weekly":
      // ISO weeks begin on Mondays; 1970-01-01 was a Thursday.
      return Math.floor((clock.getTime() / DAY_MS + 3) / 7);
    case "monthly":
      return clock.getUTCFullYear() * 12 + clock.getUTCMonth();
    case "yearly":
      return clock.getUTCFullYear();
  }
}
