import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { lastMatch, parseIgnoreFile } from "../../src/patterns/mod.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** Paths of a working tree, directories with a slash behind. */
const PATHS = [
  ..."a b ab abc a.o .o b.c [a] a* a\\ -x #a !a A 1 é foobar".split(" "),
  "a ",
  ..."d/ d/a d/a.o d/e/ d/e/a d/e/f/ d/e/f/a.o g/ g/b/ g/b/c foo/ foo/bar/ foo/x/bar foo/x/y/bar x/ x/foo/ x/foo/bar".split(
    " ",
  ),
];

let tree: string;

beforeAll(async () => {
  tree = await temporaryFolder();
  expect((await run("git", ["init", "-q", tree])).code).toBe(0);
  for (const path of PATHS) if (path.endsWith("/")) await mkdir(join(tree, path), { recursive: true });
});

/** For each path the number of the line that decides, 0 for none; git asks the disk what is a directory. */
async function git(content: Buffer): Promise<number[]> {
  await writeFile(join(tree, ".gitignore"), content);
  const args = ["-C", tree, "check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin"];
  const input = PATHS.map((path) => `${path.replace(/\/$/, "")}\0`).join("");
  const { stdout } = await run("git", ["-c", "core.excludesFile=/dev/null", ...args], { input });
  const fields = stdout.split("\0");
  return PATHS.map((_, i) => Number(fields[i * 4 + 1] || 0));
}

/** A directory that is ignored takes along all that is in it, whatever the rules say of that. */
function ours(content: Buffer): number[] {
  const rules = parseIgnoreFile(content.toString("latin1"));
  return PATHS.map((path) => {
    const parts = Buffer.from(path).toString("latin1").replace(/\/$/, "").split("/");
    for (let depth = 1; ; depth++) {
      const isDirectory = depth < parts.length || path.endsWith("/");
      const rule = lastMatch(rules, parts.slice(0, depth).join("/"), isDirectory);
      if (depth === parts.length || (rule && !rule.negated)) return rule?.line ?? 0;
    }
  });
}

describe("ignore files", () => {
  it("git and yore let the same line decide", async () => {
    const content = Buffer.from(
      [
        "*.o",
        "!b.o",
        "/a",
        "d/e/",
        "\\#a",
        "\\!a",
        "a\\ ",
        "b  ",
        "a\\\\  ",
        "[a]\0 ends in a zero byte",
        "# no rule",
        "",
        "[[:upper:]]",
        "[!-~]x",
        "foo/**/bar",
        "**/f",
        "é",
        "a\\",
        "[a",
        "[]a]",
        "\\[a]",
        "a\\*",
        "foo**bar",
        "d/**",
        "!d/a",
        "ab\r",
        "/",
        "!",
        "?bc",
      ].join("\n"),
    );
    for (const line of content.toString().split("\n")) {
      const alone = Buffer.from(line);
      expect({ line, decides: ours(alone) }).toEqual({ line, decides: await git(alone) });
    }
    expect(ours(content)).toEqual(await git(content));
  });

  it("git and yore agree about random rules", async () => {
    const piece = fc.constantFrom(
      ..."a b c d e f foo bar * ** ? / / / .o [ab] [!a] [a-c] [^/] [] [[:alpha:]] \\a \\ ! - x".split(" "),
      " ",
    );
    const rule = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
    const file = fc.array(rule, { minLength: 1, maxLength: 4 }).map((rules) => Buffer.from(rules.join("\n")));
    await fc.assert(
      fc.asyncProperty(file, async (content) => {
        expect(ours(content)).toEqual(await git(content));
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});
