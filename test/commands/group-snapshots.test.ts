import { describe, expect, it } from "vitest";
import { groupSnapshots, NO_GROUPS, newestSnapshots } from "../../src/commands/group-snapshots.js";
import type { LoadedSnapshot } from "../../src/mod.js";

function snapshot(seconds: number, hostname: string, paths: string[], tags: string[] = []): LoadedSnapshot {
  return {
    time: { seconds, nanoseconds: 0, zoneMinutes: 0 },
    hostname,
    paths,
    tags,
  } as unknown as LoadedSnapshot;
}

const a1 = snapshot(1, "a", ["/x", "/y"], ["t"]);
const b1 = snapshot(2, "b", ["/x"]);
const a2 = snapshot(3, "a", ["/y", "/x"], ["u", "t"]);
const all = [a1, b1, a2];

describe("groupSnapshots", () => {
  it("makes one group when there is nothing to group by, and none of nothing", () => {
    expect(groupSnapshots(all, NO_GROUPS)).toEqual([
      { host: undefined, paths: undefined, tags: undefined, snapshots: all },
    ]);
    expect(groupSnapshots([], NO_GROUPS)).toEqual([]);
  });

  it("puts groups where their first snapshot stood, and takes paths and tags in any order for the same", () => {
    expect(groupSnapshots(all, { host: true, paths: true, tags: false })).toEqual([
      { host: "a", paths: ["/x", "/y"], tags: undefined, snapshots: [a1, a2] },
      { host: "b", paths: ["/x"], tags: undefined, snapshots: [b1] },
    ]);
    expect(groupSnapshots(all, { host: false, paths: false, tags: true }).map(({ tags }) => tags)).toEqual([
      ["t"],
      [],
      ["t", "u"],
    ]);
  });
});

describe("newestSnapshots", () => {
  it("returns the newest, oldest first", () => {
    expect(newestSnapshots([a2, a1, b1], 2)).toEqual([b1, a2]);
    expect(newestSnapshots(all, 9)).toEqual(all);
  });
});
