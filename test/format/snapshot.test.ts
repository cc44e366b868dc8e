import { describe, expect, it } from "vitest";
import { formatId } from "../../src/bytes/id.js";
import { FormatError } from "../../src/errors.js";
import { decodeSnapshot, encodeSnapshot } from "../../src/format/snapshot.js";
import { formatTimestamp } from "../../src/format/timestamp.js";
import { SNAPSHOT_BARE, SNAPSHOT_RESTIC, SNAPSHOT_RUSTIC } from "../vectors/format-files.js";

const decode = (json: string) => decodeSnapshot(Buffer.from(json));

describe("decodeSnapshot", () => {
  it("reads every field of restic", () => {
    const snapshot = decode(SNAPSHOT_RESTIC);
    expect(snapshot).toMatchObject({
      time: { nanoseconds: 123_456_789, zoneMinutes: 60 },
      paths: ["/tmp/a&b", "/home"],
      hostname: "vm",
      username: "root",
      uid: 1000,
      gid: 100,
      excludes: ["*.tmp"],
      tags: ["x", "y"],
      programVersion: "restic 0.19.1",
      unknown: {},
    });
    expect(formatId(snapshot.tree)).toBe("a".repeat(64));
    expect(snapshot.summary).toMatchObject({
      filesNew: 1,
      dirsUnmodified: 6,
      dataAddedPacked: 10,
      totalBytesProcessed: 12,
    });
  });

  it("keeps what rustic adds and writes it back", () => {
    const snapshot = decode(SNAPSHOT_RUSTIC);
    expect(snapshot.unknown).toEqual({ label: "daily", delete: "NotSet" });
    const again: unknown = JSON.parse(encodeSnapshot({ ...snapshot, tags: ["new"] }).toString());
    expect(again).toMatchObject({
      label: "daily",
      delete: "NotSet",
      tags: ["new"],
      summary: { command: "rustic backup /data", total_duration: 0.93 },
    });
  });

  it("reads a snapshot whose summary cannot be true or is not whole, as restic does", () => {
    const { summary } = decode(
      `{"time":"2020-01-01T00:00:00Z","tree":"${"a".repeat(64)}","paths":["/x"],"summary":{"files_new":3,"data_added":18446744073709551615}}`,
    );
    expect(summary).toMatchObject({
      filesNew: 3,
      dataAdded: Number.MAX_SAFE_INTEGER,
      totalBytesProcessed: 0,
    });
    expect(formatTimestamp(summary!.backupStart)).toBe("0001-01-01T00:00:00Z");
    for (const wrong of ["-1", "1.5", '"1"', "1e300"])
      expect(() =>
        decode(
          `{"time":"2020-01-01T00:00:00Z","tree":"${"a".repeat(64)}","summary":{"data_added":${wrong}}}`,
        ),
      ).toThrow(FormatError);
  });

  it("refuses nesting that only a hostile program makes, and that could not be written again", () => {
    const nested = (depth: number) =>
      `{"time":"2020-01-01T00:00:00Z","tree":"${"a".repeat(64)}","other":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    expect(encodeSnapshot(decode(nested(400))).toString()).toContain("[".repeat(400));
    for (const depth of [600, 9_000, 100_000]) expect(() => decode(nested(depth))).toThrow(FormatError);
  });

  it("takes null for nothing, as Go does", () => {
    const tree = "a".repeat(64);
    const snapshot = decode(
      `{"time":"2022-01-01T00:00:00Z","tree":"${tree}","paths":null,"tags":null,"parent":null,"uid":null}`,
    );
    expect(snapshot).toMatchObject({ paths: [], tags: [], parent: undefined, uid: 0 });
  });

  it.each([
    ["", "the file is empty"],
    ["{", "want JSON"],
    ["[]", "want an object"],
    ["null", "want an object"],
    ['{"tree":1}', 'want a time for "time"'],
    ['{"time":"now"}', 'want a time in RFC 3339 for "time", have "now"'],
    ['{"time":"2022-01-01T00:00:00Z"}', 'want an ID of 64 hex digits for "tree", have nothing'],
    ['{"time":"2022-01-01T00:00:00Z","tree":"abc"}', 'want an ID of 64 hex digits for "tree", have "abc"'],
    [SNAPSHOT_BARE.replace('["/"]', '"/"'), "want an array of strings"],
    [SNAPSHOT_BARE.replace('["/"]', "[1]"), "want an array of strings"],
    [SNAPSHOT_BARE.replace("}", ',"uid":-1}'), "want a whole number from 0 to 4294967295"],
    [SNAPSHOT_BARE.replace("}", ',"uid":4294967296}'), "want a whole number"],
    [SNAPSHOT_BARE.replace("}", ',"hostname":5}'), 'want a string for "hostname", have 5'],
    [SNAPSHOT_BARE.replace("}", ',"summary":[]}'), "Cannot decode summary of snapshot: want an object"],
  ])("refuses %j", (json, reason) => {
    expect(() => decode(json)).toThrow(FormatError);
    expect(() => decode(json)).toThrow(reason);
  });
});

describe("encodeSnapshot", () => {
  it.each([
    ["all fields", SNAPSHOT_RESTIC],
    ["the fewest fields", SNAPSHOT_BARE],
  ])("writes %s byte for byte as restic", (_, json) => {
    expect(encodeSnapshot(decode(json)).toString()).toBe(json);
  });
});
