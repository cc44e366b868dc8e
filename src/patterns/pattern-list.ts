import { UsageError } from "../errors.js";
import { type ComponentMatcher, compileComponent } from "./path-match.js";
import { foldCase, pathText } from "./path-text.js";

/**
 * restic's filter patterns. A pattern is a path whose components are matched one by one (`path-match.ts`);
 * `**` stands for any number of components. One that begins with a slash is anchored at the root; every other
 * matches wherever its components stand next to each other, also with more of the path behind them, so that
 * what lies below a matching directory matches too. A leading `!` takes back what patterns before it have
 * matched.
 */
export interface PatternOptions {
  /** Compare without regard to case, the `i` variants of the flags. Default false. */
  readonly ignoreCase?: boolean;
  /** Of each pattern, how people know it: `--exclude "*.o"`. When left out, `the pattern "*.o"`. */
  readonly sources?: readonly string[];
}

export interface PatternMatch {
  readonly matched: boolean;
  /** False only if nothing below the path can match: a walk that looks for matches may leave it out. */
  readonly childMayMatch: boolean;
}

const NO_MATCH: PatternMatch = { matched: false, childMayMatch: false };
const NOT_HERE: PatternMatch = { matched: false, childMayMatch: true };
const MATCH: PatternMatch = { matched: true, childMayMatch: true };

interface Component {
  readonly text: string;
  readonly matches: ComponentMatcher;
  readonly isDoubleStar: boolean;
}

interface Pattern {
  readonly components: readonly Component[];
  readonly negated: boolean;
}

/** First component of every absolute path and pattern; a path never contains it otherwise. */
const ROOT = "/";
const STAR: Component = { text: "*", matches: () => true, isDoubleStar: false };

/**
 * Reads patterns. Empty ones are left out.
 *
 * @throws {UsageError} naming every pattern that is none
 */
export function parsePatterns(texts: readonly string[], options: PatternOptions = {}): PatternList {
  const patterns: Pattern[] = [];
  const bad: string[] = [];
  for (const [i, text] of texts.entries()) {
    if (text === "") continue;
    try {
      patterns.push(parsePattern(options.ignoreCase ? foldCase(text) : text));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      bad.push(`${options.sources?.[i] ?? `the pattern "${text}"`} (${error.message})`);
    }
  }
  if (bad.length > 0) throw new UsageError(`Cannot use ${bad.join(", ")}`);
  return new PatternList(patterns, options.ignoreCase ?? false);
}

/** Several patterns in their order. */
export class PatternList {
  readonly #patterns: readonly Pattern[];
  readonly #ignoreCase: boolean;
  readonly #hasNegated: boolean;
  /** True when every pattern is one name that fits anywhere: what most are, and what is quickly told. */
  readonly #onlyNames: boolean;
  /** The directory that was asked for last, and whether a name on the way to it matches. */
  #directory = "";
  #directoryMatches = false;

  constructor(patterns: readonly Pattern[], ignoreCase: boolean) {
    this.#patterns = patterns;
    this.#ignoreCase = ignoreCase;
    this.#hasNegated = patterns.some((pattern) => pattern.negated);
    this.#onlyNames = patterns.every(({ components, negated }) => {
      const [first] = components;
      return !negated && components.length === 1 && first!.text !== ROOT && !first!.isDoubleStar;
    });
  }

  get length(): number {
    return this.#patterns.length;
  }

  /** The path may be text or bytes; it should be absolute, since only then anchored patterns can match. */
  match(path: string | Uint8Array): PatternMatch {
    if (this.#patterns.length === 0) return NO_MATCH;
    const text = pathText(path);
    const folded = this.#ignoreCase ? foldCase(text) : text;
    if (this.#onlyNames && folded !== "") return this.#matchNames(folded) ? MATCH : NOT_HERE;
    const components = splitPath(folded);
    let matched = false;
    let childMayMatch = false;
    for (const pattern of this.#patterns) {
      const matches = matchComponents(pattern.components, components);
      if (pattern.negated) {
        matched &&= !matches;
        childMayMatch &&= !matches;
        continue;
      }
      matched ||= matches;
      childMayMatch ||= mayMatchBelow(pattern.components, components);
      if (matched && childMayMatch && !this.#hasNegated) break;
    }
    return { matched, childMayMatch };
  }

  /** Which pattern, counted from 0, decides that the path matches: the last that none behind it takes back. */
  deciding(path: string | Uint8Array): number | undefined {
    const text = pathText(path);
    const components = splitPath(this.#ignoreCase ? foldCase(text) : text);
    let decided: number | undefined;
    for (const [i, { components: wanted, negated }] of this.#patterns.entries()) {
      if (negated === (decided === undefined) || !matchComponents(wanted, components)) continue;
      decided = negated ? undefined : i;
    }
    return decided;
  }

  /** Whether a name on the path matches; a walk asks for all names of one directory after the other. */
  #matchNames(path: string): boolean {
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, Math.max(0, slash));
    if (directory !== this.#directory) {
      const names = directory.split("/").filter((name) => name !== "");
      this.#directoryMatches = names.some((name) => this.#matchesName(name));
      this.#directory = directory;
    }
    return this.#directoryMatches || this.#matchesName(path.slice(slash + 1));
  }

  #matchesName(name: string): boolean {
    return this.#patterns.some(({ components }) => components[0]!.matches(name));
  }

  /** The half of `match` that excluding needs. */
  matches(path: string | Uint8Array): boolean {
    return this.match(path).matched;
  }
}

function parsePattern(text: string): Pattern {
  const negated = text.startsWith("!");
  const components = splitPath(cleanPattern(negated ? text.slice(1) : text)).map((component): Component => {
    // "/" alone is an anchored pattern with an empty component behind it, which restic takes for "**": it
    // matches everything.
    const isDoubleStar = component === "**" || component === "";
    return { text: component, isDoubleStar, matches: compileComponent(component) };
  });
  return { components, negated };
}

/** Go's `filepath.Clean`: no empty, `.` or resolvable `..` component, no slash at the end. */
function cleanPattern(text: string): string {
  const rooted = text.startsWith("/");
  const kept: string[] = [];
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push("..");
  }
  const joined = kept.join("/");
  return rooted ? `/${joined}` : joined || ".";
}

function splitPath(text: string): string[] {
  const parts = text.split("/");
  if (parts[0] === "") parts[0] = ROOT;
  return parts;
}

function matchComponents(pattern: readonly Component[], path: readonly string[]): boolean {
  const doubleStar = pattern.findIndex((component) => component.isDoubleStar);
  if (doubleStar >= 0) {
    const before = pattern.slice(0, doubleStar);
    const after = pattern.slice(doubleStar + 1);
    // "**" is tried as no component, as one, as two ... as many as the path can hold.
    for (let stars = 0; before.length + stars + after.length <= path.length; stars++) {
      if (matchComponents([...before, ...new Array<Component>(stars).fill(STAR), ...after], path))
        return true;
    }
    return false;
  }
  if (pattern.length === 0) return path.length === 0;
  const anchored = pattern[0]!.text === ROOT;
  const lastOffset = anchored ? 0 : path.length - pattern.length;
  // What is not anchored must not take the root marker for a component.
  const firstOffset = !anchored && path[0] === ROOT ? 1 : 0;
  if (pattern.length > path.length) return false;
  for (let offset = lastOffset; offset >= firstOffset; offset--) {
    let i = pattern.length - 1;
    while (i >= 0 && pattern[i]!.matches(path[offset + i]!)) i--;
    if (i < 0) return true;
  }
  return false;
}

function mayMatchBelow(pattern: readonly Component[], path: readonly string[]): boolean {
  // Below every path there can be what an unanchored pattern wants.
  if (pattern[0]!.text !== ROOT) return true;
  const doubleStar = pattern.findIndex((component) => component.isDoubleStar);
  const length = Math.min(pattern.length, doubleStar >= 0 ? Math.min(doubleStar, path.length) : path.length);
  const prefix = doubleStar >= 0 ? path.slice(0, Math.min(doubleStar, path.length)) : path;
  return matchComponents(pattern.slice(0, length), prefix);
}
