/** What `forget` tells people: the policy, why each snapshot is kept, and the same as a calendar. */

import {
  type CalendarDuration,
  type ForgetGroup,
  type ForgetPolicy,
  formatCalendarDuration,
  type KeptSnapshot,
} from "../commands/forget.js";
import { formatTimestamp, type Timestamp } from "../format/timestamp.js";

/** "keep 2 latest, all hourly snapshots and all snapshots with tags [[a] [b, c]]"; "remove" for a policy without rules. */
export function describePolicy({ counts, within, tags }: ForgetPolicy): string {
  const counted = Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(
      ([period, count]) => `${count === Infinity ? "all" : count} ${period === "last" ? "latest" : period}`,
    );
  const timed = (["hourly", "daily", "weekly", "monthly", "yearly"] as const)
    .map((period) => ({ period, duration: within[period] }))
    .filter(
      (rule): rule is { period: typeof rule.period; duration: CalendarDuration } =>
        rule.duration !== undefined,
    )
    .map(({ period, duration }) => `${period} snapshots within ${formatCalendarDuration(duration)}`);
  const rules = [
    [...(counted.length > 0 ? [`${counted.join(", ")} snapshots`] : []), ...timed].join(", "),
    tags.length > 0
      ? `all snapshots with tags [${tags.map((list) => `[${list.join(", ")}]`).join(" ")}]`
      : "",
    within.all ? `all snapshots within ${formatCalendarDuration(within.all)} of the newest` : "",
  ].filter((rule) => rule !== "");
  return rules.length > 0 ? `keep ${rules.join(" and ")}` : "remove";
}

/** The letters of the calendar, from the rule that reaches furthest to the one that reaches least. */
const MARKS: readonly (readonly [mark: string, reason: RegExp, name: string])[] = [
  ["Y", /^(oldest )?yearly /, "yearly"],
  ["M", /^(oldest )?monthly /, "monthly"],
  ["W", /^(oldest )?weekly /, "weekly"],
  ["D", /^(oldest )?daily /, "daily"],
  ["H", /^(oldest )?hourly /, "hourly"],
  ["L", /^(oldest )?last /, "last"],
  ["T", /^has tags /, "tags"],
  ["=", /^within /, "within"],
];
const REMOVED = "-";
const NOTHING = ".";

/**
 * A month a line and a day a column, newest month first: by which rule a snapshot of that day is kept, the one that
 * reaches furthest if there are several. Below it how many snapshots each rule keeps, and from when to when.
 */
export function forgetCalendar({ keep, remove }: ForgetGroup): string[] {
  const months = new Map<string, string[]>();
  const mark = (time: Timestamp, letter: string) => {
    const [month, day] = monthAndDay(time);
    const days = months.get(month) ?? new Array<string>(31).fill(NOTHING);
    months.set(month, days);
    if (rank(letter) < rank(days[day - 1]!)) days[day - 1] = letter;
  };
  for (const { time } of remove) mark(time, REMOVED);
  for (const { snapshot, reasons } of keep) for (const reason of reasons) mark(snapshot.time, markOf(reason));
  if (months.size === 0) return [];
  return [
    "kept by day (- removed):",
    "         1        10        20        30",
    ...[...months].sort(([a], [b]) => (a < b ? 1 : -1)).map(([month, days]) => `${month}  ${days.join("")}`),
    ...MARKS.flatMap(([letter, pattern, name]) => ruleLine(keep, letter, pattern, name)),
  ];
}

function ruleLine(keep: readonly KeptSnapshot[], letter: string, pattern: RegExp, name: string): string[] {
  const kept = keep.filter(({ reasons }) => reasons.some((reason) => pattern.test(reason)));
  if (kept.length === 0) return [];
  const [newest, oldest] = [kept[0]!, kept.at(-1)!].map(({ snapshot }) =>
    formatTimestamp(snapshot.time).slice(0, 10),
  );
  return [`${letter} ${name.padEnd(8)}${String(kept.length).padStart(4)}  ${oldest} to ${newest}`];
}

function markOf(reason: string): string {
  return MARKS.find(([, pattern]) => pattern.test(reason))?.[0] ?? NOTHING;
}

function rank(letter: string): number {
  const position = MARKS.findIndex(([mark]) => mark === letter);
  if (position >= 0) return position;
  return letter === REMOVED ? MARKS.length : MARKS.length + 1;
}

/** In the zone in which the snapshot was made, by which the rules go as well. */
function monthAndDay(time: Timestamp): [month: string, day: number] {
  const date = formatTimestamp(time).slice(0, 10);
  return [date.slice(0, 7), Number(date.slice(8))];
}
