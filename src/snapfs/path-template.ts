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

/** All places of a snapshot by one template: one for each tag with `%t`, none without tags. */
export function templatePaths(
  template: string,
  timeTemplate: string,
  snapshot: LoadedSnapshot,
): TemplatePath[] {
  const parts = parseTemplate(template);
  const time = formatTimeLayout(timeTemplate, snapshot.time);
  const last = parts.at(-1);
  const endsInTime = last !== undefined && "placeholder" in last && last.placeholder === "T";
  const usesTags = parts.some((part) => "placeholder" in part && part.placeholder === "t");
  const tags = usesTags ? [...new Set(snapshot.tags.map(safeComponent))] : [""];
  return tags.flatMap((tag) => {
    const before = (endsInTime ? parts.slice(0, -1) : parts).map((part) => fillIn(part, snapshot, tag, time));
    const place = splitPath(before.join("") + (endsInTime ? time : ""));
    if (!place) return [];
    return [{ ...place, latest: endsInTime ? splitPath(`${before.join("")}latest`) : undefined }];
  });
}

function fillIn(part: Part, snapshot: LoadedSnapshot, tag: string, time: string): string {
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
      return time;
    default:
      return part.placeholder;
  }
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
