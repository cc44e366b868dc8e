import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors.js";
import {
  compareTimestamps,
  equalMoments,
  formatTimestamp,
  localZoneMinutes,
  parseTimestamp,
  parseTimestampBytes,
  timestampFromNs,
  timestampNs,
  ZERO_TIME,
} from "../../src/format/timestamp.js";
import { TIME_VECTORS } from "../vectors/format-times.js";

const YEAR_0 = -62_167_219_200;
const YEAR_10000 = 253_402_300_800;

const timestamps = fc.record({
  seconds: fc.integer({ min: YEAR_0 + 86_400, max: YEAR_10000 - 86_401 }),
  nanoseconds: fc.oneof(
    fc.constant(0),
    fc.nat(999_999_999),
    fc.nat(9).map((n) => n * 100_000_000),
  ),
  zoneMinutes: fc.integer({ min: -14 * 60, max: 14 * 60 }),
});

describe("formatTimestamp", () => {
  it.each(TIME_VECTORS)("writes $text", ({ text, exact, ...timestamp }) => {
    expect(formatTimestamp(timestamp)).toBe(text);
    const read = parseTimestamp(text);
    expect(equalMoments(read, timestamp)).toBe(exact);
    expect(formatTimestamp(read)).toBe(text);
  });

  it("moves 29 February to 1 March where the clamped year has none", () => {
    // 12000-02-29T12:00:00Z, as `date` has it.
    expect(formatTimestamp({ seconds: 316_521_345_600, nanoseconds: 0, zoneMinutes: 0 })).toBe(
      "9999-03-01T12:00:00Z",
    );
  });

  it("is undone by parseTimestamp", () => {
    fc.assert(
      fc.property(timestamps, (timestamp) => {
        expect(parseTimestamp(formatTimestamp(timestamp))).toEqual(timestamp);
      }),
    );
  });

  it("agrees with Date on the calendar", () => {
    fc.assert(
      fc.property(fc.integer({ min: YEAR_0, max: YEAR_10000 - 1 }), (seconds) => {
        const text = formatTimestamp({ seconds, nanoseconds: 0, zoneMinutes: 0 });
        expect(text).toBe(new Date(seconds * 1000).toISOString().replace(".000Z", "Z"));
      }),
    );
  });

  it("stays within its memory for seconds of any size", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: -1000, max: 1000 }), (seconds, zoneMinutes) => {
        expect(formatTimestamp({ seconds, nanoseconds: 1, zoneMinutes })).toMatch(
          /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000001(Z|[+-]\d\d:\d\d)$/,
        );
      }),
    );
  });
});

describe("parseTimestamp", () => {
  it.each([
    ["2020-02-29T23:59:59Z", 1_583_020_799, 0, 0],
    ["2020-02-29T23:59:59.07000Z", 1_583_020_799, 70_000_000, 0],
    ["2020-02-29T23:59:59.1234567899999+00:00", 1_583_020_799, 123_456_789, 0],
    ["2020-03-01T05:29:59-00:00", 1_583_040_599, 0, 0],
    ["2020-03-01T05:29:59+05:30", 1_583_020_799, 0, 330],
    ["0001-01-01T00:00:00Z", ZERO_TIME.seconds, 0, 0],
  ])("reads %s", (text, seconds, nanoseconds, zoneMinutes) => {
    expect(parseTimestamp(text)).toMatchObject({ seconds, nanoseconds, zoneMinutes });
  });

  it("tells +00:00 from Z, also when the other one is likely", () => {
    const [z, plus, minus] = ["Z", "+00:00", "-00:00"].map((zone) =>
      Buffer.from(`2020-02-29T23:59:59${zone}`),
    );
    const named = parseTimestampBytes(z!)!;
    const numeric = parseTimestampBytes(plus!)!;
    expect([named.isNumericZero, numeric.isNumericZero]).toEqual([undefined, true]);
    expect(parseTimestampBytes(minus!, 0, 25, named)).toEqual(numeric);
    expect(parseTimestampBytes(z!, 0, 20, numeric)).toEqual(named);
    expect(formatTimestamp(numeric)).toBe("2020-02-29T23:59:59Z");
  });

  it.each([
    "",
    "2020",
    "2020-01-01",
    "2020-01-01T00:00:00",
    "2020-01-01 00:00:00Z",
    "2020-01-01t00:00:00Z",
    "2020-01-01T00:00:00z",
    "2020-13-01T00:00:00Z",
    "2020-00-01T00:00:00Z",
    "2020-01-00T00:00:00Z",
    "2020-01-32T00:00:00Z",
    "2021-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2020-04-31T00:00:00Z",
    "2020-01-01T24:00:00Z",
    "2020-01-01T00:60:00Z",
    "2020-01-01T00:00:60Z",
    "2020-01-01T00:00:00.Z",
    "2020-01-01T00:00:00,5Z",
    "2020-01-01T00:00:00+1:00",
    "2020-01-01T00:00:00+24:00",
    "2020-01-01T00:00:00+01:60",
    "2020-01-01T00:00:00+0100",
    "2020-01-01T00:00:00ZZ",
    "2020-01-01T00:00:00Z ",
    " 2020-01-01T00:00:00Z",
    "12020-01-01T00:00:00Z",
    "-020-01-01T00:00:00Z",
    "2020-1-01T00:00:00Z",
    "\u0662\u0660\u0662\u0660-01-01T00:00:00Z",
    "2020-01-01T00:00:00.5",
    "2020-01-01T00:00:0Z",
    "2020-01-01T00:00:00.5\u0130Z",
  ])("refuses %j", (text) => {
    expect(() => parseTimestamp(text)).toThrow(FormatError);
  });
});

describe("timestampFromNs", () => {
  it("counts nanoseconds forward, before 1970 as well", () => {
    expect(timestampFromNs(-1n, 60)).toEqual({ seconds: -1, nanoseconds: 999_999_999, zoneMinutes: 60 });
    expect(timestampFromNs(-1_000_000_000n, 0)).toEqual({ seconds: -1, nanoseconds: 0, zoneMinutes: 0 });
  });

  it("is undone by timestampNs", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (ns) => {
        expect(timestampNs(timestampFromNs(ns, 0))).toBe(ns);
      }),
    );
  });
});

describe("compareTimestamps", () => {
  it("orders moments, whatever their zones", () => {
    fc.assert(
      fc.property(timestamps, timestamps, (a, b) => {
        const difference = timestampNs(a) - timestampNs(b);
        expect(Math.sign(compareTimestamps(a, b))).toBe(difference > 0n ? 1 : difference < 0n ? -1 : 0);
        expect(equalMoments(a, b)).toBe(difference === 0n);
      }),
    );
  });
});

describe("localZoneMinutes", () => {
  it("agrees with Date, whenever Date has whole minutes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: YEAR_10000 }), (seconds) => {
        expect(localZoneMinutes(seconds)).toBe(-new Date(seconds * 1000).getTimezoneOffset() + 0);
      }),
    );
  });

  it("has an answer far beyond what Date can hold", () => {
    for (const seconds of [9e12, -9e12, 2 ** 52, -(2 ** 52)]) {
      expect(Math.abs(localZoneMinutes(seconds))).toBeLessThan(24 * 60);
    }
  });
});
