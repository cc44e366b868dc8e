/**
 * The directories above the snapshots: composed from path templates, and composed anew when the list of snapshots has
 * changed. A directory object lives on as long as its path does, so that the kernel's idea of it stays valid.
 */

import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import type { Moment } from "../fuse/filesystem.js";
import {
  checkPathTemplate,
  checkTimeTemplate,
  DEFAULT_PATH_TEMPLATES,
  staticPrefix,
  type TemplatePath,
  templatePaths,
} from "./path-template.js";
import { windowsSafeName } from "./safe-name.js";
import { RFC3339 } from "./time-layout.js";
import type { NamedEntry, VirtualDirectory, VirtualEntry } from "./virtual-directory.js";

export interface SnapshotDirectoriesOptions {
  /** restic's four when left out or empty. */
  readonly pathTemplates?: readonly string[] | undefined;
  /** A layout as Go's package `time` has it; RFC 3339 when left out. */
  readonly timeTemplate?: string | undefined;
  /** No colons and whatever else Windows refuses in names. */
  readonly windowsSafeNames?: boolean | undefined;
}

/** A name that appeared, went, or stands for something else now. */
export interface DirectoryChange {
  readonly directory: VirtualDirectory;
  readonly name: Buffer;
}

type Draft = Map<string, VirtualEntry | Draft>;

export class SnapshotDirectories {
  readonly root: VirtualDirectory;
  readonly #root: TemplateDirectory;
  readonly #templates: readonly string[];
  readonly #timeTemplate: string;
  readonly #windowsSafeNames: boolean;

  /** @throws {UsageError} if a template cannot name anything */
  constructor(options: SnapshotDirectoriesOptions = {}) {
    this.#templates = options.pathTemplates?.length ? options.pathTemplates : DEFAULT_PATH_TEMPLATES;
    this.#timeTemplate = options.timeTemplate ?? RFC3339;
    this.#windowsSafeNames = options.windowsSafeNames ?? false;
    checkTimeTemplate(this.#timeTemplate);
    for (const template of this.#templates) checkPathTemplate(template);
    this.#root = new TemplateDirectory();
    this.root = this.#root;
    this.update([]);
  }

  /** Shows these snapshots and no others. @returns what is different now */
  update(snapshots: readonly LoadedSnapshot[]): DirectoryChange[] {
    const changes: DirectoryChange[] = [];
    this.#root.become(this.#draft(snapshots), nowMoment(), changes);
    return changes;
  }

  #draft(snapshots: readonly LoadedSnapshot[]): Draft {
    const root: Draft = new Map();
    for (const template of this.#templates) directoryAt(root, staticPrefix(template).map(this.#safe));
    const inOrder = [...snapshots].sort(
      (a, b) => compareTimestamps(a.time, b.time) || Buffer.compare(a.id, b.id),
    );
    for (const template of this.#templates) {
      for (const snapshot of inOrder) {
        for (const path of templatePaths(template, this.#timeTemplate, snapshot)) {
          this.#place(root, path, snapshot);
        }
      }
    }
    return root;
  }

  /** Snapshots come oldest first, so the last one to set `latest` is the newest; of equal times the later ID. */
  #place(root: Draft, path: TemplatePath, snapshot: LoadedSnapshot): void {
    const directory = directoryAt(root, path.directory.map(this.#safe));
    if (!directory) return;
    const name = uniqueName(directory, this.#safe(path.name));
    directory.set(name, { kind: "snapshot", snapshot });
    if (!path.latest) return;
    const latestName = this.#safe(path.latest.name);
    const latestDirectory = directoryAt(root, path.latest.directory.map(this.#safe));
    const there = latestDirectory?.get(latestName);
    if (!latestDirectory || (there && !(isEntry(there) && there.kind === "link"))) return;
    const between = path.directory.slice(path.latest.directory.length).map(this.#safe);
    const target = Buffer.from([...between, name].join("/"));
    latestDirectory.set(latestName, { kind: "link", target, time: snapshot.time });
  }

  readonly #safe = (name: string): string =>
    this.#windowsSafeNames ? windowsSafeName(Buffer.from(name)).toString() : name;
}

/** The draft of a directory, made with all above it; `undefined` when something else stands in its way. */
function directoryAt(root: Draft, path: readonly string[]): Draft | undefined {
  let directory = root;
  for (const part of path) {
    let next = directory.get(part);
    if (next === undefined) {
      next = new Map();
      directory.set(part, next);
    }
    if (isEntry(next)) return undefined;
    directory = next;
  }
  return directory;
}

/** The name, or the first of name-1, name-2 ... that is free. A `latest` link makes way for nothing. */
function uniqueName(directory: Draft, name: string): string {
  let unique = name;
  for (let i = 1; directory.has(unique); i++) unique = `${name}-${i}`;
  return unique;
}

function isEntry(value: VirtualEntry | Draft): value is VirtualEntry {
  return !(value instanceof Map);
}

class TemplateDirectory implements VirtualDirectory {
  changed: Moment = nowMoment();
  subdirectories = 0;
  #entries: ReadonlyMap<string, VirtualEntry> = new Map();
  #list: readonly NamedEntry[] = [];

  lookup(name: Buffer): VirtualEntry | undefined {
    return this.#entries.get(name.toString());
  }

  list(): readonly NamedEntry[] {
    return this.#list;
  }

  /** Takes the draft's entries over; directories that stay keep their objects. */
  become(draft: Draft, now: Moment, changes: DirectoryChange[]): void {
    const before = this.#entries;
    const after = new Map<string, VirtualEntry>();
    for (const [name, value] of draft) {
      const old = before.get(name);
      if (isEntry(value)) {
        after.set(name, value);
        continue;
      }
      const kept = old?.kind === "directory" && old.directory instanceof TemplateDirectory ? old : undefined;
      const directory = (kept?.directory as TemplateDirectory | undefined) ?? new TemplateDirectory();
      directory.become(value, now, changes);
      after.set(name, kept ?? { kind: "directory", directory });
    }
    const names = new Set([...before.keys(), ...after.keys()]);
    let changed = false;
    for (const name of names) {
      if (sameEntry(before.get(name), after.get(name))) continue;
      changed = true;
      changes.push({ directory: this, name: Buffer.from(name) });
    }
    if (!changed) return;
    this.changed = now;
    this.#entries = after;
    this.subdirectories = [...after.values()].filter(({ kind }) => kind !== "link").length;
    this.#list = [...after]
      .map(([name, entry]) => ({ name: Buffer.from(name), entry }))
      .sort((a, b) => Buffer.compare(a.name, b.name));
  }
}

function sameEntry(a: VirtualEntry | undefined, b: VirtualEntry | undefined): boolean {
  if (a?.kind === "snapshot" && b?.kind === "snapshot")
    return Buffer.compare(a.snapshot.id, b.snapshot.id) === 0;
  if (a?.kind === "link" && b?.kind === "link") return a.target.equals(b.target);
  return a?.kind === "directory" && b?.kind === "directory" && a.directory === b.directory;
}

function nowMoment(): Moment {
  const ms = Date.now();
  return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
}
