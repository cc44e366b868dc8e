import { UsageError } from "../errors.js";

/**
 * Go's `path.Match` for one path component, compiled once: `*` any run, `?` one character, `[a-z]` and
 * `[^a-z]` classes, `\` takes the next character literally. A component never contains a slash, so nothing
 * here has to know one.
 *
 * Both sides are sequences of code points. Bytes that are no UTF-8 are lone surrogates (see `path-text.ts`),
 * one character each, as in Go; inside a class they count as U+FFFD, which is what Go decodes them to.
 */
export type ComponentMatcher = (component: string) => boolean;

type Token =
  | { readonly kind: "star" }
  | { readonly kind: "any" }
  | { readonly kind: "literal"; readonly char: string }
  | {
      readonly kind: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [number, number])[];
    };

/** @throws {UsageError} for what Go calls a bad pattern; the message is only the reason */
export function compileComponent(pattern: string): ComponentMatcher {
  if (!/[\\[\]*?]/.test(pattern)) return (component) => component === pattern;
  const tokens = tokenize(pattern);
  // The two commonest shapes, "*" and "*.ext", need no general matching; several stars in a row are one.
  if (tokens[0]?.kind === "star" && tokens.slice(1).every((token) => token.kind === "literal")) {
    const suffix = tokens.slice(1).map(literalOf).join("");
    return (component) => component.endsWith(suffix);
  }
  return (component) => matchTokens(tokens, [...component]);
}

function literalOf(token: Token): string {
  return token.kind === "literal" ? token.char : "";
}

function tokenize(pattern: string): Token[] {
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; ) {
    const char = chars[i]!;
    if (char === "*") {
      if (tokens.at(-1)?.kind !== "star") tokens.push({ kind: "star" });
      i++;
    } else if (char === "?") {
      tokens.push({ kind: "any" });
      i++;
    } else if (char === "[") {
      i = readClass(chars, i + 1, tokens);
    } else if (char === "\\") {
      const next = chars[i + 1];
      if (next === undefined) throw badPattern("it ends in a backslash");
      tokens.push({ kind: "literal", char: next });
      i += 2;
    } else {
      tokens.push({ kind: "literal", char });
      i++;
    }
  }
  return tokens;
}

/** Reads a class from behind its `[`; returns the position behind its `]`. */
function readClass(chars: readonly string[], start: number, tokens: Token[]): number {
  let i = start;
  const negated = chars[i] === "^";
  if (negated) i++;
  const ranges: [number, number][] = [];
  for (;;) {
    // The first "]" of a class does not close it but is an error, as a "-" without a left side is.
    if (chars[i] === "]" && ranges.length > 0) break;
    const low = classCharacter(chars, i);
    i = low.next;
    let high = low;
    if (chars[i] === "-") {
      high = classCharacter(chars, i + 1);
      i = high.next;
    }
    ranges.push([low.code, high.code]);
  }
  tokens.push({ kind: "class", negated, ranges });
  return i + 1;
}

function classCharacter(chars: readonly string[], at: number): { code: number; next: number } {
  let i = at;
  if (chars[i] === "-" || chars[i] === "]")
    throw badPattern(`"${chars[i]}" stands where a class needs a character`);
  if (chars[i] === "\\") i++;
  const char = chars[i];
  if (char === undefined || i + 1 >= chars.length) throw badPattern('a "[" has no "]"');
  const code = codeOf(char);
  if (code === REPLACEMENT && char !== "\ufffd") throw badPattern("a class contains bytes that are no UTF-8");
  return { code, next: i + 1 };
}

const REPLACEMENT = 0xfffd;

function codeOf(char: string): number {
  const code = char.codePointAt(0)!;
  return code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code;
}

/** Greedy with one step back: only the last `*` ever has to be tried again. */
function matchTokens(tokens: readonly Token[], chars: readonly string[]): boolean {
  let t = 0;
  let c = 0;
  let starToken = -1;
  let starChar = 0;
  while (c < chars.length) {
    const token = tokens[t];
    if (token?.kind === "star") {
      starToken = t++;
      starChar = c;
    } else if (token !== undefined && matchesOne(token, chars[c]!)) {
      t++;
      c++;
    } else if (starToken >= 0) {
      t = starToken + 1;
      c = ++starChar;
    } else {
      return false;
    }
  }
  while (tokens[t]?.kind === "star") t++;
  return t === tokens.length;
}

function matchesOne(token: Token, char: string): boolean {
  switch (token.kind) {
    case "any":
      return true;
    case "literal":
      return token.char === char;
    case "class": {
      const code = codeOf(char);
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    }
    default:
      return false;
  }
}

function badPattern(reason: string): UsageError {
  return new UsageError(reason);
}
