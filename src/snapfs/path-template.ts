/**
 * Path templates: where in the mount a snapshot appears. `%i` short ID, `%I` ID, `%u` user, `%h` host, `%t` tag,
 * `%T` time, `%%` a percent sign; any other `%z` is `z`. A `%T` at the end is special: only then does its directory
 * get a `latest` link. Otherwise as restic has it, except that every field is made safe, not only some of them.
 */

import { formatId, formatShortId } from "../bytes/id.js";
import { UsageError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { safeComponent } from "./safe-name.js";
import { formatTimeLayout } from "./time-layout.js";

export const DEFAULT_PATH_TEMPLATES = ["ids/%i", "snapshots/%T", "hosts/%h/%T", "tags/%t/%T"] as const;

/** A place of a snapshot. */
export interface TemplatePath {
  /** Components of the directory that it is in. */
  readonly directory: readonly string[];
  readonly name: string;
  /** Where the link to the newest of them is; only for templates that end in a time. */
  readonly latest: { readonly directory: readonly string[]; readonly name: string } | undefined;
}

type Part = { readonly literal: string } | { readonly placeholder: string };
/** What makes up one component, times with slashes aside. */
type Segment = readonly Part[];

const FIELDS = "iIuhtT";

/** @throws {UsageError} if no snapshot could be shown with it */
export function checkTimeTemplate(layout: string): void {
  if (layout === "") throw new UsageError("Cannot use time template: it is empty");
  if (layout.startsWith("/") || layout.endsWith("/"))
    throw new UsageError(`Cannot use time template "${layout}": it starts or ends with a slash`);
  if (components(layout).length === 0)
    throw new UsageError(`Cannot use time template "${layout}": it names nothing`);
}

/** @throws {UsageError} if no snapshot could be shown with it */
export function checkPathTemplate(template: string): void {
  const path = parseTemplate(template).map((part) => ("literal" in part ? part.literal : "field"));
  if (components(path.join("")).length === 0)
    throw new UsageError(`Cannot use path template "${template}": it names nothing`);
}

/** Components before the first placeholder: they exist even when no snapshot does. */
export function staticPrefix(template: string): string[] {
  const first = parseTemplate(template)[0];
  if (!first || !("literal" in first)) return [];
  return components(first.literal.slice(0, first.literal.lastIndexOf("/") + 1));
}

/** Times as the names of the mount have them, each written once. */
export class SnapshotTimes {
  readonly layout: string;
  readonly #texts = new WeakMap<LoadedSnapshot, string>();

  constructor(layout: string) {
    this.layout = layout;
  }

  of(snapshot: LoadedSnapshot): string {
    let text = this.#texts.get(snapshot);
    if (text === undefined) {
      text = formatTimeLayout(this.layout, snapshot.time);
      this.#texts.set(snapshot, text);
    }
    return text;
  }
}

/** A template taken apart, so that one component of a path can be had without the others. */
export class PathTemplate {
  /** Directories that exist even when no snapshot does. */
  readonly prefix: readonly string[];
  /** With `%t` a snapshot has a place for each tag, and none without tags. */
  readonly usesTags: boolean;
  /** So many components have the same part of the template behind them, whatever the snapshot. */
  readonly fixedDepth: number;
  /** Whether these are all of the path. */
  readonly isFixed: boolean;
  /** Whether a link to the newest stands beside the places. */
  readonly hasLatest: boolean;
  readonly #parts: readonly Part[];
  readonly #segments: readonly Segment[];
  readonly #times: SnapshotTimes;

  constructor(template: string, times: SnapshotTimes) {
    this.prefix = staticPrefix(template);
    this.#parts = parseTemplate(template);
    this.#segments = segmentsOf(this.#parts);
    this.#times = times;
    this.usesTags = this.#parts.some((part) => isField(part, "t"));
    this.hasLatest = isField(this.#parts.at(-1), "T");
    const time = this.#segments.findIndex((segment) => segment.some((part) => isField(part, "T")));
    this.isFixed = time < 0 || isOneComponent(times.layout);
    if (this.isFixed) this.fixedDepth = this.#segments.length;
    // What stands before a time that leaves nothing behind is the name itself.
    else this.fixedDepth = canBeNothing(times.layout) ? Math.max(0, time - 1) : time;
  }

  /** Whether it leaves nothing that could be a name, as "%." does. */
  get isEmpty(): boolean {
    return this.isFixed && this.fixedDepth === 0;
  }

  /** Whether the places are in the directories of this depth, of a template that is fixed up to there. */
  endsAt(depth: number): boolean {
    return this.isFixed && depth === this.fixedDepth - 1;
  }

  /** What takes the place of `%t`, one after the other; an empty text stands for nothing where there is no `%t`. */
  tags(snapshot: LoadedSnapshot): readonly string[] {
    return this.usesTags ? [...new Set(snapshot.tags.map(safeComponent))] : [""];
  }

  /** The component at a fixed depth, if no snapshot has another. */
  literal(depth: number): string | undefined {
    const segment = this.#segments[depth]!;
    return segment.every((part) => !isField(part)) ? segment.map(literalOf).join("") : undefined;
  }

  /** Whether the component at a fixed depth has a tag in it. */
  saysTag(depth: number): boolean {
    return this.#segments[depth]!.some((part) => isField(part, "t"));
  }

  /** The component at a fixed depth. */
  component(depth: number, snapshot: LoadedSnapshot, tag: string): string {
    return this.#fill(this.#segments[depth]!, snapshot, tag);
  }

  /** The link's name, for a template that is fixed. */
  latestName(snapshot: LoadedSnapshot, tag: string): string {
    return `${this.#fill(this.#segments.at(-1)!.slice(0, -1), snapshot, tag)}latest`;
  }

  /** The whole place of a snapshot; `undefined` when nothing is left of it. */
  path(snapshot: LoadedSnapshot, tag: string): TemplatePath | undefined {
    const before = this.#fill(this.hasLatest ? this.#parts.slice(0, -1) : this.#parts, snapshot, tag);
    const place = splitPath(this.hasLatest ? before + this.#times.of(snapshot) : before);
    return place && { ...place, latest: this.hasLatest ? splitPath(`${before}latest`) : undefined };
  }

  #fill(parts: readonly Part[], snapshot: LoadedSnapshot, tag: string): string {
    // Mostly it is one, and its text need not be made anew.
    if (parts.length === 1) return this.#fillIn(parts[0]!, snapshot, tag);
    return parts.map((part) => this.#fillIn(part, snapshot, tag)).join("");
  }

  #fillIn(part: Part, snapshot: LoadedSnapshot, tag: string): string {
    if ("literal" in part) return part.literal;
    switch (part.placeholder) {
      case "i":
        return formatShortId(snapshot.id);
      case "I":
        return formatId(snapshot.id);
      case "u":
        return safeComponent(snapshot.username);
      case "h":
        return safeComponent(snapshot.hostname);
      case "t":
        return tag;
      case "T":
        return this.#times.of(snapshot);
      default:
        return part.placeholder;
    }
  }
}

function isField(part: Part | undefined, field?: string): boolean {
  if (part === undefined || !("placeholder" in part)) return false;
  return field === undefined ? FIELDS.includes(part.placeholder) : part.placeholder === field;
}

function literalOf(part: Part): string {
  return "literal" in part ? part.literal : part.placeholder;
}

/** The parts between the slashes. No field is empty or has one, so that each segment but a time is one component. */
function segmentsOf(parts: readonly Part[]): Segment[] {
  const segments: Part[][] = [[]];
  for (const part of parts) {
    if (isField(part)) {
      segments.at(-1)!.push(part);
      continue;
    }
    const [first, ...others] = literalOf(part).split("/");
    segments.at(-1)!.push({ literal: first! });
    for (const literal of others) segments.push([{ literal }]);
  }
  return segments
    .map((segment) => segment.filter((part) => isField(part) || literalOf(part) !== ""))
    .filter(
      (segment) =>
        segment.some((part) => isField(part)) || components(segment.map(literalOf).join("")).length > 0,
    );
}

/** Whether every time is one component by this layout. Dots, commas and nines may be a fraction that is left out. */
function isOneComponent(layout: string): boolean {
  return !layout.includes("/") && !canBeNothing(layout);
}

function canBeNothing(layout: string): boolean {
  return /^[.,9/]*$/.test(layout);
}

function parseTemplate(template: string): Part[] {
  const parts: Part[] = [];
  // A percent sign at the very end stands for nothing, as in restic.
  for (const [, placeholder, literal] of template.matchAll(/%(.)|([^%]+)/gsu)) {
    parts.push(placeholder === undefined ? { literal: literal! } : { placeholder });
  }
  return parts;
}

function splitPath(path: string): { directory: string[]; name: string } | undefined {
  const directory = components(path);
  const name = directory.pop();
  return name === undefined ? undefined : { directory, name };
}

/** Components of a path; empty ones, "." and ".." lead nowhere and are left out. */
function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== "." && part !== "..");
}
