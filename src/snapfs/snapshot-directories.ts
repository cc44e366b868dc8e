/**
 * The directories above the snapshots: each composed from path templates when somebody looks into it, and composed anew
 * when the list of snapshots has changed. A directory object lives on as long as its path does, so that the kernel's
 * idea of it stays valid.
 */

import type { LoadedSnapshot } from "../format/snapshot.js";
import type { Moment } from "../fuse/filesystem.js";
import { DirectoryDraft, type Unopened } from "./directory-draft.js";
import { checkPathTemplate, checkTimeTemplate, DEFAULT_PATH_TEMPLATES } from "./path-template.js";
import { SnapshotLayout } from "./snapshot-layout.js";
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
  /** `undefined` for a directory whose names nobody has asked for. */
  readonly name: Buffer | undefined;
}

export class SnapshotDirectories {
  readonly root: VirtualDirectory;
  readonly #root: TemplateDirectory;
  readonly #layout: SnapshotLayout;
  /** As they were given. */
  #snapshots: readonly LoadedSnapshot[] = [];

  /** @throws {UsageError} if a template cannot name anything */
  constructor(options: SnapshotDirectoriesOptions = {}) {
    const pathTemplates = options.pathTemplates?.length ? options.pathTemplates : DEFAULT_PATH_TEMPLATES;
    const timeTemplate = options.timeTemplate ?? RFC3339;
    checkTimeTemplate(timeTemplate);
    for (const template of pathTemplates) checkPathTemplate(template);
    this.#layout = new SnapshotLayout({
      pathTemplates,
      timeTemplate,
      windowsSafeNames: options.windowsSafeNames ?? false,
    });
    this.#root = new TemplateDirectory(this.#layout, this.#layout.root([]), nowMoment());
    this.root = this.#root;
  }

  /** Shows these snapshots and no others. @returns what is different now, of directories that were handed out */
  update(snapshots: readonly LoadedSnapshot[]): DirectoryChange[] {
    const changes: DirectoryChange[] = [];
    if (isSameList(snapshots, this.#snapshots)) return changes;
    this.#snapshots = snapshots;
    this.#root.become(this.#layout.root(snapshots), nowMoment(), changes);
    return changes;
  }
}

class TemplateDirectory implements VirtualDirectory {
  changed: Moment;
  readonly #layout: SnapshotLayout;
  /** What it is composed of when somebody looks into it. */
  #unopened: Unopened | undefined;
  /** In the order of the names' bytes. */
  #entries: ReadonlyMap<string, VirtualEntry> = new Map();
  #subdirectories = 0;

  constructor(layout: SnapshotLayout, content: DirectoryDraft | Unopened, now: Moment) {
    this.#layout = layout;
    this.changed = now;
    if (content instanceof DirectoryDraft) this.#take(content, now, []);
    else this.#unopened = content;
  }

  get subdirectories(): number {
    const known = this.#unopened && this.#layout.subdirectories(this.#unopened);
    if (known !== undefined) return known;
    this.#open();
    return this.#subdirectories;
  }

  lookup(name: Buffer): VirtualEntry | undefined {
    return this.#open().get(name.toString());
  }

  list(): readonly NamedEntry[] {
    return Array.from(this.#open(), ([name, entry]) => ({ name: Buffer.from(name), entry }));
  }

  /** Shows something else; directories that stay keep their objects. */
  become(content: DirectoryDraft | Unopened, now: Moment, changes: DirectoryChange[]): void {
    if (content instanceof DirectoryDraft) this.#take(content, now, changes);
    else if (!this.#unopened) this.#take(this.#layout.open(content), now, changes);
    else {
      if (!this.#unopened.equals(content)) {
        this.changed = now;
        changes.push({ directory: this, name: undefined });
      }
      this.#unopened = content;
    }
  }

  #open(): ReadonlyMap<string, VirtualEntry> {
    if (this.#unopened) this.#take(this.#layout.open(this.#unopened), this.changed, []);
    return this.#entries;
  }

  #take(draft: DirectoryDraft, now: Moment, changes: DirectoryChange[]): void {
    this.#unopened = undefined;
    const before = this.#entries;
    const after = new Map<string, VirtualEntry>();
    for (const [name, value] of draft.entries)
      after.set(name, this.#entry(before.get(name), value, now, changes));
    const names = new Set([...before.keys(), ...after.keys()]);
    let changed = false;
    for (const name of names) {
      if (sameEntry(before.get(name), after.get(name))) continue;
      changed = true;
      changes.push({ directory: this, name: Buffer.from(name) });
    }
    if (!changed) return;
    this.changed = now;
    this.#entries = inNameOrder(after);
    this.#subdirectories = [...after.values()].filter(({ kind }) => kind !== "link").length;
  }

  #entry(
    before: VirtualEntry | undefined,
    value: VirtualEntry | DirectoryDraft | Unopened,
    now: Moment,
    changes: DirectoryChange[],
  ): VirtualEntry {
    if ("kind" in value) return value;
    if (before?.kind === "directory" && before.directory instanceof TemplateDirectory) {
      before.directory.become(value, now, changes);
      return before;
    }
    return { kind: "directory", directory: new TemplateDirectory(this.#layout, value, now) };
  }
}

/** By the bytes of the names. */
function inNameOrder<T>(entries: ReadonlyMap<string, T>): Map<string, T> {
  const named = Array.from(entries, ([name, entry]) => ({ bytes: Buffer.from(name), name, entry }));
  named.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  return new Map(named.map(({ name, entry }) => [name, entry]));
}

function isSameList(a: readonly LoadedSnapshot[], b: readonly LoadedSnapshot[]): boolean {
  return a.length === b.length && a.every(({ id }, i) => Buffer.compare(id, b[i]!.id) === 0);
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
