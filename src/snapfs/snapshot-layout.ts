/**
 * What stands in the directories above the snapshots, composed one directory at a time: of those below it is only noted
 * which snapshots come there.
 *
 * The places come one after the other: by template, by time, by tag. Who is first has the name; a directory lets those
 * pass that have a place below it, a snapshot takes the next name that is free. So what a directory shows follows from
 * those who come to it and from their order, whatever stands elsewhere.
 */

import type { LoadedSnapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import { DirectoryDraft, type Stream, Unopened } from "./directory-draft.js";
import { PathTemplate, SnapshotTimes, type TemplatePath } from "./path-template.js";
import { windowsSafeName } from "./safe-name.js";
import type { VirtualEntry } from "./virtual-directory.js";

export interface SnapshotLayoutOptions {
  readonly pathTemplates: readonly string[];
  readonly timeTemplate: string;
  readonly windowsSafeNames: boolean;
}

export class SnapshotLayout {
  readonly #templates: readonly PathTemplate[];
  readonly #windowsSafeNames: boolean;
  /** One for all places of a snapshot. */
  readonly #entries = new WeakMap<LoadedSnapshot, VirtualEntry>();

  constructor(options: SnapshotLayoutOptions) {
    const times = new SnapshotTimes(options.timeTemplate);
    this.#templates = options.pathTemplates
      .map((template) => new PathTemplate(template, times))
      .filter(({ isEmpty }) => !isEmpty);
    this.#windowsSafeNames = options.windowsSafeNames;
  }

  root(snapshots: readonly LoadedSnapshot[]): Unopened {
    const root = new Unopened(0);
    const all = inPlacingOrder(snapshots);
    const tagged = all.filter(({ tags }) => tags.length > 0);
    for (const template of this.#templates) {
      root.admit({ template, snapshots: template.usesTags ? tagged : all, tags: undefined });
    }
    return root;
  }

  open(directory: Unopened): DirectoryDraft {
    const { depth, streams } = directory;
    return streams.every(({ template }) => template.isFixed || depth < template.fixedDepth)
      ? this.#compose(directory)
      : this.#composeWhole(directory);
  }

  /** How many directories and snapshots are in a directory, where that is known without its names. */
  subdirectories({ depth, streams }: Unopened): number | undefined {
    let count = 0;
    for (const stream of streams) {
      const { template, snapshots } = stream;
      if (!template.endsAt(depth) || depth < template.prefix.length || goesByAllTags(stream))
        return undefined;
      count += snapshots.length;
    }
    return count;
  }

  #compose({ depth, streams }: Unopened): DirectoryDraft {
    const draft = new DirectoryDraft();
    for (const { template } of streams) {
      const name = template.prefix[depth];
      if (name !== undefined) draft.passage(this.#safe(name), depth + 1);
    }
    for (const stream of streams) {
      const { template } = stream;
      const literal = template.endsAt(depth) ? undefined : template.literal(depth);
      if (literal === undefined) this.#distribute(draft, depth, stream);
      else if (stream.snapshots.length > 0 || depth < template.prefix.length)
        draft.passage(this.#safe(literal), depth + 1)?.admit(stream);
    }
    return draft;
  }

  #distribute(draft: DirectoryDraft, depth: number, stream: Stream): void {
    const { template } = stream;
    const isEnd = template.endsAt(depth);
    const tellsTag = goesByAllTags(stream) && template.saysTag(depth);
    for (const [i, snapshot] of stream.snapshots.entries()) {
      for (const tag of tellsTag ? template.tags(snapshot) : [stream.tags?.[i]]) {
        const name = this.#safe(template.component(depth, snapshot, tag ?? ""));
        if (!isEnd) draft.passage(name, depth + 1)?.admitOne(template, snapshot, tag);
        else this.#put(draft, template, name, snapshot, tag ?? "");
      }
    }
  }

  #put(
    draft: DirectoryDraft,
    template: PathTemplate,
    name: string,
    snapshot: LoadedSnapshot,
    tag: string,
  ): void {
    const target = draft.put(name, this.#entry(snapshot));
    if (!template.hasLatest) return;
    draft.putLink(this.#safe(template.latestName(snapshot, tag)), linkTo(target, snapshot));
  }

  /**
   * Composes a directory with all below it: times of several components have their `latest` above them, and whether there
   * is one depends on whether there is a place at all.
   */
  #composeWhole({ depth, streams }: Unopened): DirectoryDraft {
    const draft = new DirectoryDraft();
    for (const { template } of streams) draft.directory(template.prefix.slice(depth).map(this.#safe));
    for (const stream of streams) {
      for (const [i, snapshot] of stream.snapshots.entries()) {
        for (const tag of stream.tags ? [stream.tags[i]!] : stream.template.tags(snapshot)) {
          const path = stream.template.path(snapshot, tag);
          if (path) this.#place(draft, depth, path, snapshot);
        }
      }
    }
    return draft;
  }

  #place(draft: DirectoryDraft, depth: number, path: TemplatePath, snapshot: LoadedSnapshot): void {
    const directory = path.directory.map(this.#safe);
    const name = draft.directory(directory.slice(depth))?.put(this.#safe(path.name), this.#entry(snapshot));
    if (name === undefined || !path.latest) return;
    const target = [...directory.slice(path.latest.directory.length), name].join("/");
    draft
      .directory(path.latest.directory.slice(depth).map(this.#safe))
      ?.putLink(this.#safe(path.latest.name), linkTo(target, snapshot));
  }

  #entry(snapshot: LoadedSnapshot): VirtualEntry {
    let entry = this.#entries.get(snapshot);
    if (!entry) {
      entry = { kind: "snapshot", snapshot };
      this.#entries.set(snapshot, entry);
    }
    return entry;
  }

  readonly #safe = (name: string): string =>
    this.#windowsSafeNames ? windowsSafeName(Buffer.from(name)).toString() : name;
}

/** The order in which snapshots take their places: oldest first, of equal times the lower ID. */
function inPlacingOrder(snapshots: readonly LoadedSnapshot[]): LoadedSnapshot[] {
  return [...snapshots].sort((a, b) => compareTimestamps(a.time, b.time) || Buffer.compare(a.id, b.id));
}

/** Whether a snapshot in it stands for all of its tags still. */
function goesByAllTags({ template, tags }: Stream): boolean {
  return template.usesTags && !tags;
}

function linkTo(target: string, { time }: LoadedSnapshot): VirtualEntry & { kind: "link" } {
  return { kind: "link", target: Buffer.from(target), time };
}
