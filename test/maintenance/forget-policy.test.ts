import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idFromBytes } from "../../src/bytes/id.js";
import type { LoadedSnapshot } from "../../src/format/snapshot.js";
import {
  compareTimestamps,
  formatTimestamp,
  parseTimestamp,
  type Timestamp,
} from "../../src/format/timestamp.js";
import {
  earlierBy,
  formatCalendarDuration,
  parseCalendarDuration,
} from "../../src/maintenance/calendar-duration.js";
import {
  applyForgetPolicy,
  type ForgetPolicy,
  isEmptyPolicy,
  KEEP_NOTHING,
  type KeepWithin,
} from "../../src/maintenance/forget-policy.js";
import { snapshotOf } from "../repository/support.js";

const TREE = idFromBytes(new Uint8Array(32));
const NOW = parseTimestamp("2026-11-22T12:00:00Z");

function snapshotAt(time: Timestamp, tags: readonly string[] = []): LoadedSnapshot {
  return { ...snapshotOf(TREE, { time, tags }), id: TREE };
}

function decide(times: readonly string[], policy: Partial<ForgetPolicy>) {
  const snapshots = times.map((time) => snapshotAt(parseTimestamp(time)));
  const { keep, remove } = applyForgetPolicy(snapshots, { ...KEEP_NOTHING, ...policy }, NOW);
  return {
    keep: keep.map(({ snapshot, reasons }) => [formatTimestamp(snapshot.time), ...reasons]),
    remove: remove.map(({ time }) => formatTimestamp(time)),
  };
}

const counts = (some: Partial<ForgetPolicy["counts"]>) => ({ ...KEEP_NOTHING.counts, ...some });

/** What the same policy keeps, said another way: by the places where a list of labels changes. */
function expectedReasons(newestFirst: readonly LoadedSnapshot[], policy: ForgetPolicy): string[][] {
  const reasons = newestFirst.map((): string[] => []);
  const labels = {
    last: (_: string, position: number) => String(position),
    hourly: (text: string) => text.slice(0, 13),
    daily: (text: string) => text.slice(0, 10),
    weekly: (text: string) => isoWeek(text.slice(0, 10)),
    monthly: (text: string) => text.slice(0, 7),
    yearly: (text: string) => text.slice(0, 4),
  };
  const texts = newestFirst.map(({ time }) => formatTimestamp(time));
  const mark = (period: keyof typeof labels, among: number, count: number, reason: string) => {
    const names = texts.map((text, position) => labels[period](text, position)).slice(0, among);
    const changes = names.flatMap((name, position) => (name === names[position - 1] ? [] : [position]));
    for (const position of changes.slice(0, count)) reasons[position]!.push(reason);
    const oldest = texts.length - 1;
    if (among > 0 && changes.length < count && among === texts.length && !changes.includes(oldest))
      reasons[oldest]!.push(`oldest ${reason}`);
  };
  for (const [position, { tags }] of newestFirst.entries()) {
    for (const list of policy.tags)
      if (list.every((tag) => (tag === "" ? tags.length === 0 : tags.includes(tag))))
        reasons[position]!.push(`has tags [${list.join(", ")}]`);
  }
  const reference = newestFirst.find(({ time }) => compareTimestamps(time, NOW) < 0)?.time;
  const within = (duration: Required<KeepWithin>["all"]) =>
    reference
      ? newestFirst.filter(({ time }) => compareTimestamps(time, earlierBy(reference, duration)) > 0).length
      : texts.length;
  if (policy.within.all) {
    const name = formatCalendarDuration(policy.within.all);
    for (const list of reasons.slice(0, within(policy.within.all))) list.push(`within ${name}`);
  }
  for (const period of ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const)
    if (policy.counts[period] > 0) mark(period, texts.length, policy.counts[period], `${period} snapshot`);
  for (const period of ["hourly", "daily", "weekly", "monthly", "yearly"] as const) {
    const duration = policy.within[period];
    if (duration)
      mark(period, within(duration), Infinity, `${period} within ${formatCalendarDuration(duration)}`);
  }
  return reasons;
}

/** The year and number of the week that a date lies in: those of its Thursday. */
function isoWeek(date: string): string {
  const thursday = new Date(`${date}T00:00:00Z`);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const day = (thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000;
  return `${year} week ${Math.floor(day / 7) + 1}`;
}

const someTime = fc.record({
  // From 2023 to a little after NOW, often within the same hours and days.
  seconds: fc.oneof(
    fc.integer({ min: 1_672_531_200, max: 1_795_500_000 }),
    fc.integer({ min: 0, max: 200 }).map((n) => 1_795_348_800 - n * 1800),
  ),
  nanoseconds: fc.constantFrom(0, 1, 999_999_999),
  zoneMinutes: fc.constantFrom(0, 60, 120, -330, 765),
});
const someTags = fc.subarray(["a", "b", "c"]);
const someDuration = fc
  .record({
    years: fc.integer({ min: 0, max: 2 }),
    months: fc.integer({ min: 0, max: 14 }),
    days: fc.integer({ min: 0, max: 60 }),
    hours: fc.integer({ min: 0, max: 60 }),
  })
  .filter((duration) => formatCalendarDuration(duration) !== "");
const someCount = fc.constantFrom(0, 0, 0, 1, 2, 3, 7, Infinity);
const maybeDuration = fc.option(someDuration, { nil: undefined, freq: 2 });
const somePolicy = fc.record({
  counts: fc.record({
    last: someCount,
    hourly: someCount,
    daily: someCount,
    weekly: someCount,
    monthly: someCount,
    yearly: someCount,
  }),
  within: fc.record({
    all: maybeDuration,
    hourly: maybeDuration,
    daily: maybeDuration,
    weekly: maybeDuration,
    monthly: maybeDuration,
    yearly: maybeDuration,
  }),
  tags: fc.array(
    fc.oneof(
      someTags.filter((tags) => tags.length > 0),
      fc.constant([""]),
    ),
    { maxLength: 2 },
  ),
});

describe("applyForgetPolicy", () => {
  it("keeps for the same reasons as another formulation of the rules, for 1,000 random sets", () => {
    const someSnapshots = fc.uniqueArray(fc.record({ time: someTime, tags: someTags }), {
      maxLength: 40,
      selector: ({ time }) => `${time.seconds}.${time.nanoseconds}`,
    });
    fc.assert(
      fc.property(someSnapshots, somePolicy, (made, policy) => {
        const snapshots = made.map(({ time, tags }) => snapshotAt(time, tags));
        const newestFirst = [...snapshots].sort((a, b) => compareTimestamps(b.time, a.time));
        const { keep, remove } = applyForgetPolicy(snapshots, policy, NOW);
        const expected = expectedReasons(newestFirst, policy);
        expect(keep).toEqual(
          newestFirst
            .map((snapshot, position) => ({ snapshot, reasons: expected[position]! }))
            .filter(({ reasons }) => reasons.length > 0),
        );
        expect(remove).toEqual(newestFirst.filter((_, position) => expected[position]!.length === 0));
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps the first of each day from the newest on, and the oldest while the count lasts", () => {
    const times = [
      "2024-01-01T10:00:00Z",
      "2024-01-01T11:00:00Z",
      "2024-01-03T10:00:00Z",
      "2024-01-03T12:00:00Z",
    ];
    expect(decide(times, { counts: counts({ daily: 2 }) })).toEqual({
      keep: [
        ["2024-01-03T12:00:00Z", "daily snapshot"],
        ["2024-01-01T11:00:00Z", "daily snapshot"],
      ],
      remove: ["2024-01-03T10:00:00Z", "2024-01-01T10:00:00Z"],
    });
    expect(decide(times, { counts: counts({ daily: 3 }) }).keep.at(-1)).toEqual([
      "2024-01-01T10:00:00Z",
      "oldest daily snapshot",
    ]);
  });

  it("counts a week from Monday, over the new year as well", () => {
    const { keep } = decide(["2024-12-29T23:59:59Z", "2024-12-30T00:00:00Z", "2025-01-05T23:59:59Z"], {
      counts: counts({ weekly: Infinity }),
    });
    expect(keep.map(([time]) => time)).toEqual(["2025-01-05T23:59:59Z", "2024-12-29T23:59:59Z"]);
  });

  it("counts durations from the newest snapshot that is not in the future", () => {
    const within: KeepWithin = { all: parseCalendarDuration("1d") };
    const { keep } = decide(["2030-01-01T00:00:00Z", "2026-11-20T12:00:01Z", "2026-11-19T12:00:01Z"], {
      within,
    });
    expect(keep).toEqual([
      ["2030-01-01T00:00:00Z", "within 1d"],
      ["2026-11-20T12:00:01Z", "within 1d"],
    ]);
  });

  it("keeps nothing without a rule", () => {
    expect(isEmptyPolicy(KEEP_NOTHING)).toBe(true);
    expect(decide(["2026-01-01T00:00:00Z"], {}).keep).toEqual([]);
  });
});

describe("parseCalendarDuration", () => {
  it.each([
    ["1y5m7d2h", { years: 1, months: 5, days: 7, hours: 2 }],
    [" 2h1y ", { years: 1, months: 0, days: 0, hours: 2 }],
    ["3d7d", { years: 0, months: 0, days: 7, hours: 0 }],
    ["-1d", { years: 0, months: 0, days: -1, hours: 0 }],
    ["", { years: 0, months: 0, days: 0, hours: 0 }],
  ])("reads %j", (text, duration) => {
    expect(parseCalendarDuration(text)).toEqual(duration);
  });

  it.each(["1", "y", "1w", "1y2", "1 y", "1.5d", "d1"])("refuses %j", (text) => {
    expect(() => parseCalendarDuration(text)).toThrow(`"${text}"`);
  });
});

describe("earlierBy", () => {
  it.each([
    ["2024-03-31T10:00:00+01:00", "1m", "2024-03-02T10:00:00+01:00"],
    ["2024-02-29T10:00:00Z", "1y", "2023-03-01T10:00:00Z"],
    ["2024-01-01T01:00:00.5Z", "1d2h", "2023-12-30T23:00:00.5Z"],
  ])("counts back from %s by %s as a calendar does", (time, duration, earlier) => {
    expect(formatTimestamp(earlierBy(parseTimestamp(time), parseCalendarDuration(duration)))).toBe(earlier);
  });
});
