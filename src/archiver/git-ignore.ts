import { constants } from "node:fs";
import { LRUCache } from "lru-cache";
import { isThere } from "../bytes/is-there.js";
import { openToRead } from "../bytes/open-to-read.js";
import { messageOf, systemCodeOf } from "../errors.js";
import { type IgnoreRule, lastMatch, parseIgnoreFile } from "../patterns/mod.js";
import {
  absoluteRaw,
  baseRaw,
  displayPath,
  joinRaw,
  parentRaw,
  pathBuffer,
  type RawPath,
} from "./raw-path.js";

/** A rule and where it stands. */
export interface IgnoreDecision {
  readonly file: RawPath;
  readonly rule: IgnoreRule;
}

/** The rules that count in one directory, nearest first. */
interface IgnoreScope {
  readonly folder: RawPath;
  readonly file: RawPath;
  readonly rules: readonly IgnoreRule[];
  readonly above: IgnoreScope | undefined;
}

/** What the rules of a directory say about its entries. */
export type DirectoryIgnores = IgnoreScope | undefined;

/** Directories whose rules are remembered; those without rules of their own share their parent's. */
const REMEMBERED_DIRECTORIES = 4096;

const CHECKED_IN = ".gitignore";

/** Of a file that names a path in one line: longer ones are none (git's own limit is 1 MiB). */
const MAX_LINK_BYTES = 8192;

/**
 * Reads `.gitignore` files as git does: within a working tree (a directory that holds `.git`) and nowhere else, the
 * file nearest to a path first, `.git/info/exclude` last. `.git` itself is never ignored. What git tracks all the same
 * is not asked.
 */
export class GitIgnore {
  readonly #warn: (message: string) => void;
  readonly #scopes = new LRUCache<RawPath, Promise<ScopeEntry>>({ max: REMEMBERED_DIRECTORIES });

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  async rulesIn(directory: RawPath): Promise<DirectoryIgnores> {
    return (await this.#entryOf(directory)).scope;
  }

  #entryOf(directory: RawPath): Promise<ScopeEntry> {
    let entry = this.#scopes.get(directory);
    if (!entry) {
      entry = this.#read(directory);
      this.#scopes.set(directory, entry);
    }
    return entry;
  }

  async #read(directory: RawPath): Promise<ScopeEntry> {
    const isRoot = await isThere(pathBuffer(joinRaw(directory, ".git")));
    const above: ScopeEntry = isRoot
      ? { inWorkingTree: true, scope: await this.#add(directory, await excludeFile(directory), undefined) }
      : directory === "/"
        ? OUTSIDE
        : await this.#entryOf(parentRaw(directory));
    if (!above.inWorkingTree) return above;
    const file = joinRaw(directory, CHECKED_IN);
    return { inWorkingTree: true, scope: await this.#add(directory, file, above.scope) };
  }

  async #add(folder: RawPath, file: RawPath, above: DirectoryIgnores): Promise<DirectoryIgnores> {
    const rules = parseIgnoreFile(await this.#load(file, baseRaw(file) === CHECKED_IN));
    return rules.length > 0 ? { folder, file, rules, above } : above;
  }

  /** git follows links in its own folder, and none to what somebody checked in. */
  async #load(path: RawPath, isCheckedIn: boolean): Promise<string> {
    try {
      const file = await openToRead(pathBuffer(path), isCheckedIn ? constants.O_NOFOLLOW : 0);
      try {
        return (await file.stat()).isFile() ? await file.readFile("latin1") : "";
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCodeOf(error) ?? ""))
        this.#warn(`Cannot read the patterns in "${displayPath(path)}": ${messageOf(error)}`);
      return "";
    }
  }
}

/** Where git keeps the rules of a working tree that are not checked in. */
async function excludeFile(directory: RawPath): Promise<RawPath> {
  const gitFolder = await gitFolderOf(directory);
  // The folder of a linked working tree names the one that it shares with the others.
  const shared = (await readLine(joinRaw(gitFolder, "commondir"))) ?? ".";
  return joinRaw(absoluteRaw(shared, gitFolder), "info/exclude");
}

/** `.git`, or what the file of that name in a submodule or a linked working tree leads to (gitrepository-layout(5)). */
async function gitFolderOf(directory: RawPath): Promise<RawPath> {
  const dotGit = joinRaw(directory, ".git");
  const path = /^gitdir: (.+)$/s.exec((await readLine(dotGit)) ?? "")?.[1];
  return path === undefined ? dotGit : absoluteRaw(path, directory);
}

/** What a short file says without the ends of lines behind it; `undefined` where there is no such file. */
async function readLine(path: RawPath): Promise<string | undefined> {
  try {
    const file = await openToRead(pathBuffer(path));
    try {
      const stats = await file.stat();
      if (!stats.isFile() || stats.size > MAX_LINK_BYTES) return undefined;
      return (await file.readFile("latin1")).replace(/[\r\n]+$/, "");
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

interface ScopeEntry {
  readonly inWorkingTree: boolean;
  readonly scope: DirectoryIgnores;
}

const OUTSIDE: ScopeEntry = { inWorkingTree: false, scope: undefined };

/** The rule that decides about an entry of the directory, `undefined` when none does. */
export function decideIgnore(
  scope: DirectoryIgnores,
  path: RawPath,
  isDirectory: boolean,
): IgnoreDecision | undefined {
  if (!scope || baseRaw(path) === ".git") return undefined;
  for (let at: DirectoryIgnores = scope; at; at = at.above) {
    const below = path.slice(at.folder === "/" ? 1 : at.folder.length + 1);
    const rule = lastMatch(at.rules, below, isDirectory);
    if (rule) return { file: at.file, rule };
  }
  return undefined;
}
