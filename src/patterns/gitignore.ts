/**
 * Patterns of git's ignore files (gitignore(5), wildmatch). Text and paths are raw bytes as Latin-1 strings, one
 * character a byte: git compares bytes, and so names that are no UTF-8 need no care.
 *
 * The packages for it fold case unless told otherwise, know no `[:alpha:]`, and remember every path they were asked
 * about; a backup asks about millions.
 */

export interface IgnoreRule {
  /** As it stands in the file. */
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
  /** Takes back what rules before it have ignored. */
  readonly negated: boolean;
  /** @param path below the folder of the file, without a slash in front */
  matches(path: string, isDirectory: boolean): boolean;
}

/** Reads an ignore file. What git takes for no pattern is left out. */
export function parseIgnoreFile(content: string): IgnoreRule[] {
  const lines = content.replace(/^\xef\xbb\xbf/, "").split("\n");
  return lines.flatMap((raw, i) => {
    // For git, a zero byte ends a line.
    const text = trimTrailingSpaces(raw.replace(/\r$/, "").replace(/\0.*$/s, ""));
    return text === "" || text.startsWith("#") ? [] : [parseRule(text, i + 1)];
  });
}

/** The last rule that matches decides. */
export function lastMatch(
  rules: readonly IgnoreRule[],
  path: string,
  isDirectory: boolean,
): IgnoreRule | undefined {
  return rules.findLast((rule) => rule.matches(path, isDirectory));
}

/** A space at the end counts only behind a backslash that is not itself behind one. */
function trimTrailingSpaces(text: string): string {
  let kept = 0;
  for (let at = 0; at < text.length; at++) {
    const escaped = text[at] === "\\";
    if (escaped && ++at === text.length) return text;
    if (escaped || text[at] !== " ") kept = at + 1;
  }
  return text.slice(0, kept);
}

function parseRule(text: string, line: number): IgnoreRule {
  const negated = text.startsWith("!");
  const withoutMark = negated ? text.slice(1) : text;
  const onlyDirectories = withoutMark.endsWith("/");
  const pattern = onlyDirectories ? withoutMark.slice(0, -1) : withoutMark;
  const anchored = pattern.includes("/");
  const fits = compile(pattern.startsWith("/") ? pattern.slice(1) : pattern);
  return {
    text,
    line,
    negated,
    matches: (path, isDirectory) => {
      if (onlyDirectories && !isDirectory) return false;
      return fits(anchored ? path : path.slice(path.lastIndexOf("/") + 1));
    },
  };
}

/** git compares the part before the first special character as it is, and what follows as a pattern of its own. */
function compile(pattern: string): (path: string) => boolean {
  const special = pattern.search(/[*?[\\]/);
  if (special < 0) return (path) => path === pattern;
  const prefix = pattern.slice(0, special);
  const source = toExpression(pattern.slice(special));
  if (source === undefined) return () => false;
  const expression = new RegExp(`^(?:${source})$`, "s");
  return (path) => path.startsWith(prefix) && expression.test(path.slice(special));
}

/** @returns `undefined` for a pattern that can match nothing */
function toExpression(pattern: string): string | undefined {
  let source = "";
  let at = 0;
  while (at < pattern.length) {
    const char = pattern[at]!;
    if (char === "*") {
      const stars = /^\*+/.exec(pattern.slice(at))![0].length;
      const behind = pattern.slice(at + stars);
      const alone = at === 0 || pattern[at - 1] === "/";
      at += stars;
      if (stars < 2 || !alone || !/^(?:$|\/|\\\/)/.test(behind)) source += "[^/]*";
      else if (behind.startsWith("/")) {
        // Any number of folders, none as well.
        source += "(?:.*/)?";
        at++;
      } else source += ".*";
    } else if (char === "?") {
      source += "[^/]";
      at++;
    } else if (char === "[") {
      const set = readSet(pattern, at + 1);
      if (!set) return undefined;
      source += set.source;
      at = set.end;
    } else {
      const literal = char === "\\" ? pattern[at + 1] : char;
      if (literal === undefined) return undefined;
      source += escapeCharacter(literal);
      at += char === "\\" ? 2 : 1;
    }
  }
  return source;
}

const CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  blank: " \\t",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "\\x21-\\x7e",
  lower: "a-z",
  print: "\\x20-\\x7e",
  punct: "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e",
  space: " \\t\\n\\v\\f\\r",
  upper: "A-Z",
  xdigit: "0-9A-Fa-f",
};

/** Reads "[...]" from behind the bracket; a set never holds a slash. */
function readSet(pattern: string, start: number): { source: string; end: number } | undefined {
  let at = start;
  const negated = pattern[at] === "!" || pattern[at] === "^";
  if (negated) at++;
  let members = "";
  /** What a "-" that comes next ranges from. */
  let from: string | undefined;
  for (let first = true; ; first = false) {
    let char = pattern[at];
    if (char === undefined) return undefined;
    if (char === "]" && !first) break;
    const named = char === "[" && pattern[at + 1] === ":" ? /^\[:([^\]]*):\]/.exec(pattern.slice(at)) : null;
    if (named) {
      const set = CLASSES[named[1]!];
      if (set === undefined) return undefined;
      members += set;
      from = undefined;
      at += named[0].length;
      continue;
    }
    const next = pattern[at + 1];
    if (char === "-" && from !== undefined && next !== undefined && next !== "]") {
      const escaped = next === "\\";
      const to = escaped ? pattern[at + 2] : next;
      if (to === undefined) return undefined;
      if (from <= to) members += `${escapeCharacter(from)}-${escapeCharacter(to)}`;
      from = undefined;
      at += escaped ? 3 : 2;
      continue;
    }
    if (char === "\\") char = pattern[++at];
    if (char === undefined) return undefined;
    members += escapeCharacter(char);
    from = char;
    at++;
  }
  const set = members === "" ? (negated ? "." : "(?!)") : `[${negated ? "^" : ""}${members}]`;
  return { source: `(?!/)${set}`, end: at + 1 };
}

function escapeCharacter(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
