import { describe, expect, it } from "vitest";
import { parseGroupBy } from "../../src/cli/group-by.js";
import { resolveSnapshotFilter } from "../../src/cli/snapshot-filter.js";
import { UsageError } from "../../src/errors.js";

describe("resolveSnapshotFilter", () => {
  it("takes the host from the environment unless a flag says otherwise, an empty one included", () => {
    const env = { RESTIC_HOST: "theirs", YORE_HOST: "ours" };
    expect(resolveSnapshotFilter({}, env).hosts).toEqual(["ours"]);
    expect(resolveSnapshotFilter({}, { RESTIC_HOST: "theirs" }).hosts).toEqual(["theirs"]);
    expect(resolveSnapshotFilter({ host: ["a", "b"] }, env).hosts).toEqual(["a", "b"]);
    expect(resolveSnapshotFilter({ host: [""] }, env).hosts).toEqual([]);
  });

  it("splits lists of tags, and keeps the empty one for snapshots without tags", () => {
    expect(resolveSnapshotFilter({ tag: ["a, b", "", "c"] }, {}).tags).toEqual([["a", "b"], [""], ["c"]]);
  });

  it("makes paths absolute, those of Windows as they are", () => {
    expect(resolveSnapshotFilter({ path: ["/a b", "x", "C:\\data"] }, {}).paths).toEqual([
      "/a b",
      `${process.cwd()}/x`,
      "C:\\data",
    ]);
  });
});

describe("parseGroupBy", () => {
  it("takes the words in any order, singular and plural", () => {
    expect(parseGroupBy("paths,host")).toEqual({ host: true, paths: true, tags: false });
    expect(parseGroupBy("tag")).toEqual({ host: false, paths: false, tags: true });
    expect(parseGroupBy("")).toEqual({ host: false, paths: false, tags: false });
    expect(() => parseGroupBy("host,foo")).toThrow(UsageError);
  });
});
