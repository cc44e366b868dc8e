import { open } from "node:fs/promises";
import { messageOf, systemCodeOf, UsageError } from "../errors.js";
import type { PatternList } from "../patterns/mod.js";
import { type FileStat, isDirectory, isUnreadable } from "./file-record.js";
import {
  baseRaw,
  displayPath,
  joinRaw,
  matchablePath,
  parentRaw,
  pathBuffer,
  type RawPath,
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
    name: Buffer.from(name).toString("latin1"),
    header: Buffer.from(colon < 0 ? "" : text.slice(colon + 1)),
  };
}

/** Decides what of a directory belongs to the backup. */
export class Selection {
  readonly #rules: SelectionRules;
  readonly #scanner: Scanner;
  readonly #warn: (message: string) => void;
  /** Devices of the targets, by absolute path; empty unless on one file system. */
  readonly #devices = new Map<string, bigint>();

  constructor(rules: SelectionRules, scanner: Scanner, warn: (message: string) => void) {
    this.#rules = rules;
    this.#scanner = scanner;
    this.#warn = warn;
  }

  /** To be called once before anything is asked, with the absolute paths of the targets. */
  async prepare(targets: readonly RawPath[]): Promise<void> {
    if (!this.#rules.oneFileSystem) return;
    for (const target of targets) {
      const entry = await this.#scanner.statPath(target);
      if (isUnreadable(entry)) throw entry.error;
      this.#devices.set(target, entry.stat.dev);
    }
  }

  /** What can be told from the absolute path alone, before anything is read. */
  excludesPath(path: RawPath): boolean {
    const { patterns, excludedFolders } = this.#rules;
    if (excludedFolders.some((folder) => path === folder || path.startsWith(`${folder}/`))) return true;
    if (patterns.length === 0) return false;
    const text = matchablePath(path);
    return patterns.some((list) => list.matches(text));
  }

  /** True when no rule can leave out an entry of this directory, which has an absolute path. */
  takesAll(directory: RawPath): boolean {
    const { patterns, excludedFolders, maxFileBytes, tagFiles, oneFileSystem } = this.#rules;
    if (patterns.length > 0 || maxFileBytes !== undefined || tagFiles.length > 0 || oneFileSystem)
      return false;
    return excludedFolders.every(
      (folder) => parentRaw(folder) !== directory && !`${directory}/`.startsWith(`${folder}/`),
    );
  }

  /**
   * What needs to be known of the object.
   *
   * @param tags of the directory it lies in, from `tagsIn`
   * @param parentDevice of that directory
   */
  excludesObject(
    path: RawPath,
    stat: FileStat,
    tags: readonly TagFile[],
    parentDevice: bigint | undefined,
  ): boolean {
    if (this.#rules.oneFileSystem && !this.#staysOnFileSystem(path, stat, parentDevice)) return true;
    const { maxFileBytes } = this.#rules;
    if (maxFileBytes !== undefined && !isDirectory(stat) && stat.size > maxFileBytes) return true;
    return tags.length > 0 && tags.some((tag) => tag.name !== baseRaw(path));
  }

  /** The tag files that a directory contains and whose header is right. */
  async tagsIn(directory: RawPath): Promise<readonly TagFile[]> {
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
      const file = await open(pathBuffer(path), "r");
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
