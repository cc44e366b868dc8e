import { describe, expect, it } from "vitest";
import { splitShellWords } from "../../src/cli/shell-words.js";
import { UsageError } from "../../src/errors.js";

describe("splitShellWords", () => {
  it.each([
    ["pass show backup", ["pass", "show", "backup"]],
    ["  a   b\tc\n", ["a", "b", "c"]],
    [`sh -c "echo 'x y'"`, ["sh", "-c", "echo 'x y'"]],
    [`a"b c"d`, ["ab cd"]],
    [`'' ""`, ["", ""]],
    [`a\\ b`, ["a b"]],
    [`"a\\"b\\\\c\\d"`, [`a"b\\c\\d`]],
    [`'a\\b'`, ["a\\b"]],
    ["", []],
    ["echo $HOME *", ["echo", "$HOME", "*"]],
  ])("splits %j", (text, words) => {
    expect(splitShellWords(text)).toEqual(words);
  });

  it.each([`"open`, `'open`, "ends\\"])("refuses %j", (text) => {
    expect(() => splitShellWords(text)).toThrow(UsageError);
  });
});
