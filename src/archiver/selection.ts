import { openToRead } from "../bytes/open-to-read.js";
import { bytesOfText } from "../bytes/utf8.js";
import { messageOf, systemCodeOf, UsageError } from "../errors.js";
import type { PatternList } from "../patterns/mod.js";
import { type FileStat, isDirectory, isUnreadable } from "./file-record.js";
import { type DirectoryIgnores, decideIgnore, GitIgnore, type IgnoreDecision } from "./git-ignore.js";
import { lookAhead } from "./look-ahead.js";
import {
  baseRaw,
  displayPath,
  joinRaw,
  matchablePath,
  parentRaw,
  pathBuffer,
  type RawPath,
  rawPath,
} from "./raw-path.js";
import type { Scanner } from "./scanner.js";

/** What a backup leaves out. Explicit targets are never asked about. */
export interface SelectionRules {
  readonly patterns: readonly PatternList[];
  /** Folders left out with all below them, absolute: the program's own cache. */
  readonly excludedFolders: readonly RawPath[];
  /** Files beyond so many bytes; undefined for no bound. */
  readonly maxFileBytes: number | undefined;
  /** What marks a directory whose other entries are left out. */
  readonly tagFiles: readonly TagFile[];
  /** Leave out what the `.gitignore` files of working trees ignore; false when left out. */
  readonly gitIgnore?: boolean;
  /** Stay on the file systems of the targets. */
  readonly oneFileSystem: boolean;
}

export interface TagFile {
  /** Raw bytes of the name as a Latin-1 string. */
  readonly name: string;
  /** The file must begin with these bytes; empty when its presence is enough. */
  readonly header: Buffer;
}

/** The Cache Directory Tagging Specification's file. */
export const CACHE_TAG: TagFile = {
  name: "CACHEDIR.TAG",
  header: Buffer.from("Signature: 8a477f597d28d172789f06886806bc55"),
};

/** Reads `filename[:header]`. @throws {UsageError} when the name is empty */
export function parseTagFile(text: string): TagFile {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  if (name === "") throw new UsageError(`Cannot use the tag file "${text}": its name is empty`);
  return {
    name: rawPath(name),
    header: bytesOfText(colon < 0 ? "" : text.slice(colon + 1)),
  };
}

/** What a directory says about its own entries. */
export interface DirectoryRules {
  readonly tags: readonly TagFile[];
  readonly ignores: DirectoryIgnores;
}

/** Why something is left out. */
export type Exclusion =
  | { readonly by: "cache-folder"; readonly folder: RawPath }
  | { readonly by: "pattern"; readonly list: number }
  | { readonly by: "file-system" }
  | { readonly by: "size"; readonly bytes: number }
  | { readonly by: "tag-file"; readonly name: string }
  | { readonly by: "gitignore"; readonly decision: IgnoreDecision };

/** Decides what of a directory belongs to the backup. */
export class Selection {
  readonly #rules: SelectionRules;
  readonly #scanner: Scanner;
  readonly #warn: (message: string) => void;
  readonly #gitIgnore: GitIgnore | undefined;
  /** Absolute paths. */
  #targets: ReadonlySet<RawPath> = new Set();
  /** Devices of the targets, by absolute path; empty unless on one file system. */
  readonly #devices = new Map<string, bigint>();

  constructor(rules: SelectionRules, scanner: Scanner, warn: (message: string) => void) {
    this.#rules = rules;
    this.#scanner = scanner;
    this.#warn = warn;
    this.#gitIgnore = rules.gitIgnore ? new GitIgnore(warn) : undefined;
  }

  /** To be called once before anything is asked, with the absolute paths of the targets. */
  async prepare(targets: readonly RawPath[]): Promise<void> {
    this.#targets = new Set(targets);
    if (!this.#rules.oneFileSystem) return;
    const looked = lookAhead(this.#scanner, targets, (target) => target, { attributes: false });
    for await (const [target, entry] of looked) {
      if (isUnreadable(entry!)) throw entry.error;
      this.#devices.set(target, entry!.stat.dev);
    }
  }

  /** What can be told from the absolute path alone, before anything is read. */
  excludesPath(path: RawPath): boolean {
    return this.whyPath(path) !== undefined;
  }

  /** The same, with the reason. */
  whyPath(path: RawPath): Exclusion | undefined {
    const { patterns, excludedFolders } = this.#rules;
    const folder = excludedFolders.find((one) => path === one || path.startsWith(`${one}/`));
    if (folder !== undefined) return { by: "cache-folder", folder };
    if (patterns.length === 0) return undefined;
    const text = matchablePath(path);
    const list = patterns.findIndex((one) => one.matches(text));
    return list < 0 ? undefined : { by: "pattern", list };
  }

  /** True when no rule can leave out an entry of this directory, which has an absolute path. */
  takesAll(directory: RawPath): boolean {
    const { patterns, excludedFolders, maxFileBytes, tagFiles, oneFileSystem } = this.#rules;
    if (patterns.length > 0 || maxFileBytes !== undefined || tagFiles.length > 0 || oneFileSystem)
      return false;
    if (this.#gitIgnore) return false;
    return excludedFolders.every(
      (folder) => parentRaw(folder) !== directory && !`${directory}/`.startsWith(`${folder}/`),
    );
  }

  /**
   * What needs to be known of the object.
   *
   * @param directory that it lies in, from `rulesIn`
   * @param parentDevice of that directory
   */
  excludesObject(
    path: RawPath,
    stat: FileStat,
    directory: DirectoryRules,
    parentDevice: bigint | undefined,
  ): boolean {
    return this.whyObject(path, stat, directory, parentDevice) !== undefined;
  }

  /** The same, with the reason. */
  whyObject(
    path: RawPath,
    stat: FileStat,
    { tags, ignores }: DirectoryRules,
    parentDevice: bigint | undefined,
  ): Exclusion | undefined {
    if (this.#rules.oneFileSystem && !this.#staysOnFileSystem(path, stat, parentDevice))
      return { by: "file-system" };
    const { maxFileBytes } = this.#rules;
    if (maxFileBytes !== undefined && !isDirectory(stat) && stat.size > maxFileBytes)
      return { by: "size", bytes: stat.size };
    const tag = tags.length > 0 ? tags.find(({ name }) => name !== baseRaw(path)) : undefined;
    if (tag) return { by: "tag-file", name: tag.name };
    const decision = ignores && decideIgnore(ignores, path, isDirectory(stat));
    return decision && !decision.rule.negated ? { by: "gitignore", decision } : undefined;
  }

  /**
   * True when git ignores a directory on the way from a target to what lies in it. A walk comes there only where something
   * else is named in that directory.
   */
  async ignoresWayTo(path: RawPath): Promise<boolean> {
    if (!this.#gitIgnore) return false;
    for (let at = parentRaw(path); at !== "/" && !this.#targets.has(at); at = parentRaw(at))
      if (await this.whyIgnored(at)) return true;
    return false;
  }

  /** What git's rules say of a directory. */
  async whyIgnored(directory: RawPath): Promise<Exclusion | undefined> {
    const decision = decideIgnore(await this.#gitIgnore?.rulesIn(parentRaw(directory)), directory, true);
    return decision && !decision.rule.negated ? { by: "gitignore", decision } : undefined;
  }

  /** What is to be known of a directory before its entries are asked about. */
  async rulesIn(directory: RawPath): Promise<DirectoryRules> {
    if (!this.#gitIgnore && this.#rules.tagFiles.length === 0) return NO_RULES;
    return { tags: await this.#tagsIn(directory), ignores: await this.#gitIgnore?.rulesIn(directory) };
  }

  /** The tag files that a directory contains and whose header is right. */
  async #tagsIn(directory: RawPath): Promise<readonly TagFile[]> {
    if (this.#rules.tagFiles.length === 0) return NO_TAGS;
    const found: TagFile[] = [];
    for (const tag of this.#rules.tagFiles) {
      if (await this.#hasTag(joinRaw(directory, tag.name), tag)) found.push(tag);
    }
    return found;
  }

  async #hasTag(path: RawPath, tag: TagFile): Promise<boolean> {
    const entry = await this.#scanner.statPath(path);
    if (isUnreadable(entry)) {
      if (systemCodeOf(entry.error) !== "ENOENT")
        this.#warn(`could not access exclusion tagfile: ${messageOf(entry.error)}`);
      return false;
    }
    if (tag.header.length === 0) return true;
    try {
      const file = await openToRead(pathBuffer(path));
      try {
        const { bytesRead, buffer } = await file.read(
          Buffer.alloc(tag.header.length),
          0,
          tag.header.length,
          0,
        );
        if (bytesRead === tag.header.length && buffer.equals(tag.header)) return true;
        this.#warn(
          `invalid ${bytesRead < tag.header.length ? "(too short) " : ""}signature in exclusion tagfile "${displayPath(path)}"`,
        );
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#warn(
        `could not read signature from exclusion tagfile "${displayPath(path)}": ${messageOf(error)}`,
      );
    }
    return false;
  }

  /** A directory on which another file system is mounted is kept, what is in it is not. */
  #staysOnFileSystem(path: RawPath, stat: FileStat, parentDevice: bigint | undefined): boolean {
    const allowed = this.#deviceFor(path);
    if (allowed === undefined || stat.dev === allowed) return true;
    return isDirectory(stat) && this.#deviceFor(parentRaw(path)) === parentDevice;
  }

  #deviceFor(path: RawPath): bigint | undefined {
    for (let at = path; ; at = parentRaw(at)) {
      const device = this.#devices.get(at);
      if (device !== undefined || at === "/") return device;
    }
  }
}

const NO_TAGS: readonly TagFile[] = [];
const NO_RULES: DirectoryRules = { tags: NO_TAGS, ignores: undefined };
