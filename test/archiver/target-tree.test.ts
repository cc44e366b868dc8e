import { describe, expect, it } from "vitest";
import type { RawPath } from "../../src/archiver/raw-path.js";
import { buildTargetTree, sortedChildren, type TargetTree } from "../../src/archiver/target-tree.js";

/** A few directories, as `listNames` sees them. */
const DIRECTORIES: Readonly<Record<string, readonly string[]>> = {
  ".": ["a", "b"],
  "..": ["up"],
  "/": ["bin", "etc"],
  a: ["one", "two"],
};

async function build(...targets: string[]): Promise<unknown> {
  return describeTree(
    await buildTargetTree(targets as RawPath[], async (path) => [...(DIRECTORIES[path] ?? [])]),
  );
}

/** `!path` for an explicit target, `path` for another one, an object for what is passed through. */
function describeTree(tree: TargetTree): unknown {
  const children = sortedChildren(tree).map(([name, child]) => [
    child.path === undefined ? `${name} <${child.metadataPath}>` : name,
    child.path === undefined ? describeTree(child) : (child.explicit ? "!" : "") + child.path,
  ]);
  return Object.fromEntries(children);
}

describe("buildTargetTree", () => {
  it("keeps the whole of an absolute path, and of a relative one what was typed", async () => {
    expect(await build("/srv/data")).toEqual({ "srv </srv>": { data: "!/srv/data" } });
    expect(await build("x/y", "z")).toEqual({ "x <x>": { y: "!x/y" }, z: "!z" });
    expect(await build("../x/y/")).toEqual({ "x <../x>": { y: "!../x/y" } });
  });

  it("puts what is in them for dots and the root, and calls none of it explicit", async () => {
    expect(await build(".")).toEqual({ a: "a", b: "b" });
    expect(await build("..")).toEqual({ up: "../up" });
    expect(await build("/")).toEqual({ bin: "/bin", etc: "/etc" });
  });

  it("opens a target that has another one inside, in whatever order they come", async () => {
    const expected = { "a <a>": { one: "!a/one", two: "a/two" } };
    expect(await build("a", "a/one")).toEqual(expected);
    expect(await build("a/one", "a")).toEqual(expected);
    expect(await build("a", "./a", "a/")).toEqual({ a: "!a" });
  });

  it("tells equal names from different places apart by a number", async () => {
    expect(await build("a", "../a", "../../a")).toEqual({ a: "!a", "a-1": "!../a", "a-2": "!../../a" });
    expect(await build("x/1", "/x/2", "x/3")).toEqual({
      "x <x>": { "1": "!x/1", "3": "!x/3" },
      "x-1 </x>": { "2": "!/x/2" },
    });
  });
});
