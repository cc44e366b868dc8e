/** What a directory above the snapshots is composed of: names with what has them, and who is on the way through. */

import type { Id } from "../bytes/id.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import type { PathTemplate } from "./path-template.js";
import type { VirtualEntry } from "./virtual-directory.js";

/** The snapshots that come to a directory by one template, in their order. */
export interface Stream {
  readonly template: PathTemplate;
  readonly snapshots: readonly LoadedSnapshot[];
  /** The tag that each comes by; `undefined` while no component has named it. */
  readonly tags: readonly string[] | undefined;
}

interface GrowingStream extends Stream {
  readonly snapshots: LoadedSnapshot[];
  readonly tags: string[] | undefined;
}

/** A directory that is not composed: 16 bytes for each place in it or below it. */
export class Unopened {
  /** How many components lead to it. */
  readonly depth: number;
  readonly #streams: Stream[] = [];
  #growing: GrowingStream | undefined;

  constructor(depth: number) {
    this.depth = depth;
  }

  /** In the order of the templates. */
  get streams(): readonly Stream[] {
    return this.#streams;
  }

  /** All of a stream passes. */
  admit(stream: Stream): void {
    this.#streams.push(stream);
  }

  /** One place of a template whose earlier ones were let in before. */
  admitOne(template: PathTemplate, snapshot: LoadedSnapshot, tag: string | undefined): void {
    if (this.#growing?.template !== template) {
      this.#growing = { template, snapshots: [], tags: tag === undefined ? undefined : [] };
      this.#streams.push(this.#growing);
    }
    this.#growing.snapshots.push(snapshot);
    if (tag !== undefined) this.#growing.tags?.push(tag);
  }

  /** Whether the same would be composed of both. */
  equals({ depth, streams }: Unopened): boolean {
    if (depth !== this.depth || streams.length !== this.#streams.length) return false;
    return this.#streams.every((stream, i) => equalStreams(stream, streams[i]!));
  }
}

/** A directory that is being composed. Who comes first has the name. */
export class DirectoryDraft {
  readonly entries = new Map<string, VirtualEntry | DirectoryDraft | Unopened>();
  /** The number to try next, of names that were wanted more than once. */
  readonly #numbers = new Map<string, number>();

  /** Puts an entry under the name, or the first of name-1, name-2 ... that is free. @returns which it was */
  put(name: string, entry: VirtualEntry): string {
    let unique = name;
    if (this.entries.has(name)) {
      let number = this.#numbers.get(name) ?? 1;
      while (this.entries.has(`${name}-${number}`)) number++;
      unique = `${name}-${number}`;
      this.#numbers.set(name, number + 1);
    }
    this.entries.set(unique, entry);
    return unique;
  }

  /** A later link takes the place of an earlier one, and of nothing else. */
  putLink(name: string, link: VirtualEntry & { kind: "link" }): void {
    const there = this.entries.get(name);
    if (!there || ("kind" in there && there.kind === "link")) this.entries.set(name, link);
  }

  /** The directory of a name, not composed; `undefined` when something else has the name. */
  passage(name: string, depth: number): Unopened | undefined {
    let there = this.entries.get(name);
    if (!there) {
      there = new Unopened(depth);
      this.entries.set(name, there);
    }
    return there instanceof Unopened ? there : undefined;
  }

  /** The draft of a directory below, made with all above it; `undefined` when something else stands in its way. */
  directory(path: readonly string[]): DirectoryDraft | undefined {
    let directory: DirectoryDraft = this;
    for (const name of path) {
      let next = directory.entries.get(name);
      if (!next) {
        next = new DirectoryDraft();
        directory.entries.set(name, next);
      }
      if (!(next instanceof DirectoryDraft)) return undefined;
      directory = next;
    }
    return directory;
  }
}

function equalStreams(a: Stream, b: Stream): boolean {
  if (a.template !== b.template || a.snapshots.length !== b.snapshots.length) return false;
  return a.snapshots.every(
    (snapshot, i) => equalIds(snapshot.id, b.snapshots[i]!.id) && a.tags?.[i] === b.tags?.[i],
  );
}

function equalIds(a: Id, b: Id): boolean {
  return a === b || Buffer.compare(a, b) === 0;
}
