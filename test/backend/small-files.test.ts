import { describe, expect, it } from "vitest";
import { SmallFiles } from "../../src/backend/small-files.js";

/** Answers each path with itself, and takes down which were asked for together. */
function echo() {
  const hops: string[][] = [];
  const files = new SmallFiles(async (paths) => {
    const asked = Buffer.from(paths).toString().split("\0").slice(0, -1);
    hops.push(asked);
    return asked.map((path) => (path.includes("missing") ? undefined : Buffer.from(path)));
  });
  return { files, hops };
}

describe("SmallFiles", () => {
  it("gives each its own file, several to a hop where they are asked for together", async () => {
    const { files, hops } = echo();
    const paths = Array.from({ length: 20 }, (_, i) => (i === 13 ? "missing" : `/f${i}`));
    const contents = await Promise.all(paths.map((path) => files.read(path)));
    expect(contents.map((content) => content?.toString() ?? "missing")).toEqual(paths);
    expect(hops.map((hop) => hop.length)).toEqual([8, 8, 4]);
  });

  it("asks together for what goes on because a hop came back", async () => {
    const { files, hops } = echo();
    const twice = async (name: string) => [await files.read(`${name}1`), await files.read(`${name}2`)].join();
    expect(await Promise.all(["a", "b", "c"].map(twice))).toEqual(["a1,a2", "b1,b2", "c1,c2"]);
    expect(hops).toEqual([
      ["a1", "b1", "c1"],
      ["a2", "b2", "c2"],
    ]);
  });

  it("fails those of a hop that fails, and goes on", async () => {
    let isBroken = true;
    const files = new SmallFiles(async () => {
      if (isBroken) throw new Error("no thread");
      return [Buffer.from("ok")];
    });
    const outcomes = await Promise.allSettled([files.read("/a"), files.read("/b")]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    isBroken = false;
    expect(String(await files.read("/a"))).toBe("ok");
  });
});
