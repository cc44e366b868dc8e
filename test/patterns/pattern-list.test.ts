import { describe, expect, it } from "vitest";
import { parsePatterns } from "../../src/patterns/mod.js";

/** Pattern, path, matched, child may match: as restic's own filter decides (its documentation and `test/interop`). */
const CASES: readonly (readonly [string, string, boolean, boolean?])[] = [
  ["*.go", "/foo/bar/test.go", true],
  ["*.go", "/foo/bar.go/below", true],
  ["*.c", "/foo/bar/test.go", false, true],
  ["/foo", "/foo", true],
  ["/foo", "/foo/bar", true],
  ["/foo", "/x/foo", false, false],
  ["/foo/*", "/foo/bar", true],
  ["/foo/bar", "/foo", false, true],
  ["/foo/bar", "/baz", false, false],
  ["/foo/bar", "/foo/bar/baz", true],
  ["foo/bar", "/x/foo/bar/y", true],
  ["foo/bar", "/foo/x/bar", false],
  ["/foo/**/bar", "/foo/bar", true],
  ["/foo/**/bar", "/foo/a/b/c/bar", true],
  ["/foo/**/bar", "/foo/a", false, true],
  ["/foo/**/bar", "/other", false, false],
  ["foo/**/bar/**/x", "/foo/1/bar/2/3/x", true],
  ["**", "/anything", true],
  ["/", "/anything/at/all", true],
  ["foo/", "/a/foo", true],
  ["./foo//bar/../baz", "/foo/baz", true],
  ["?", "/é", true],
  ["?", "/ab", false],
  ["[a-c]x", "/bx", true],
  ["[^a-c]x", "/bx", false],
  ["[a\\]]", "/]", true],
  ["\\*", "/*", true],
  ["\\*", "/a", false],
  ["a*b*c", "/aXbXbXc", true],
  ["a*b*c", "/aXcXb", false],
  ["a]", "/a]", true],
  ["**.o", "/a/x.o", true],
  ["**.o", "/a/**.c", false],
  ["x**", "/a/x.o", true],
  ["***", "/a", true],
];

describe("PatternList", () => {
  for (const [pattern, path, matched, childMayMatch] of CASES) {
    it(`${matched ? "matches" : "does not match"} ${path} by ${pattern}`, () => {
      const match = parsePatterns([pattern]).match(path);
      expect(match.matched).toBe(matched);
      if (childMayMatch !== undefined) expect(match.childMayMatch).toBe(childMayMatch);
    });
  }

  it("takes patterns in their order, and `!` takes back", () => {
    expect(parsePatterns(["*.o", "!keep.o"]).matches("/a/keep.o")).toBe(false);
    expect(parsePatterns(["!keep.o", "*.o"]).matches("/a/keep.o")).toBe(true);
    expect(parsePatterns(["*.o", "!keep.o", "/a/*"]).matches("/a/keep.o")).toBe(true);
  });

  it("matches names alone as it does beside a pattern of several components", () => {
    const patterns = ["*.c", "[ab]?", "doc", "\\*"];
    const names = parsePatterns(patterns);
    const general = parsePatterns([...patterns, "never/ever"]);
    const parts = ["a", "x.c", "ab", "doc", "*", "", "q"];
    for (const first of parts)
      for (const second of parts)
        for (const path of [
          first,
          `/${first}`,
          `${first}/${second}`,
          `/${first}/${second}`,
          `/q/${first}/${second}`,
        ])
          expect([path, names.match(path)]).toEqual([path, general.match(path)]);
  });

  it("folds case character by character when it is told to", () => {
    const list = parsePatterns(["FOO*", "ΟΔΟΣ"], { ignoreCase: true });
    expect(list.matches("/x/fooBAR")).toBe(true);
    expect(list.matches("/οδοσ")).toBe(true);
    expect(parsePatterns(["FOO*"]).matches("/x/foo")).toBe(false);
  });

  it("tells apart names that are no UTF-8, a byte for a character", () => {
    const name = (bytes: string) => Buffer.from(bytes, "latin1");
    expect(parsePatterns(["a?"]).matches(name("/a\xff"))).toBe(true);
    expect(parsePatterns(["a?"]).matches(name("/a\xff\xfe"))).toBe(false);
    expect(parsePatterns(["a\ufffd"]).matches(name("/a\xff"))).toBe(false);
  });

  it("refuses patterns that are none, and names each of them", () => {
    expect(() => parsePatterns(["fine", "[a", "b\\", "[]a]", "[a-]"])).toThrow(
      /pattern "\[a".*"b\\".*"\[\]a\]".*"\[a-\]"/,
    );
  });

  it("matches nothing without patterns, and leaves empty ones out", () => {
    expect(parsePatterns([]).match("/a")).toEqual({ matched: false, childMayMatch: false });
    expect(parsePatterns(["", ""]).length).toBe(0);
  });
});
