import { describe, expect, it } from "vitest";
import { parseFindTime } from "../../src/cli/find-time.js";
import { formatTimestamp } from "../../src/format/timestamp.js";
import { run } from "../support/run.js";

/** Text and moment; the tests run in the zone of the machine, so local times are asked of `date`. */
const ZONED: readonly (readonly [string, string])[] = [
  ["2020-03-04 05:06:07 +0130", "2020-03-04T05:06:07+01:30"],
  ["2020-03-04 05:06:07.25 -0700", "2020-03-04T05:06:07.25-07:00"],
  ["04.03.2020 05:06:07 +0000", "2020-03-04T05:06:07Z"],
  ["2020-03-04 05:06:07 UTC", "2020-03-04T05:06:07Z"],
  // Go takes a zone that is not the local one's for UTC.
  ["04.03.2020 05:06:07 XYZ", "2020-03-04T05:06:07Z"],
  ["Wed Mar 4 05:06:07 -0700 MST 2020", "2020-03-04T05:06:07-07:00"],
  ["Wed Mar  4 05:06:07 -0700 MST 2020", "2020-03-04T05:06:07-07:00"],
];

describe("parseFindTime", () => {
  it.each(ZONED)("reads %j", (text, moment) => {
    expect(formatTimestamp(parseFindTime(text)!)).toBe(moment);
  });

  it.each([
    ["2020-03-04", "2020-03-04 00:00:00"],
    ["2020-07-04 05:06", "2020-07-04 05:06:00"],
    ["2020-07-04 5:06:07", "2020-07-04 05:06:07"],
    ["04.07.2020", "2020-07-04 00:00:00"],
    ["04.07.2020 05:06", "2020-07-04 05:06:00"],
    ["04.07.2020 05:06:07", "2020-07-04 05:06:07"],
  ])("reads %j in the local zone", async (text, local) => {
    const { stdout } = await run("date", ["--date", local, "+%s"]);
    expect(parseFindTime(text)?.seconds).toBe(Number(stdout));
  });

  it.each([
    "",
    "4.3.2020",
    "2020-3-4",
    "2020-02-30",
    "2020-03-04 24:00",
    "2020-03-04T05:06:07",
    "2020-03-04 05:06:07 Z",
    "2020-03-04 05:06:07 utc",
    "2020-03-04 05:06:07 +01:00",
    "2020-03-04 ",
  ])("does not read %j", (text) => {
    expect(parseFindTime(text)).toBeUndefined();
  });
});
