import { mapConcurrently } from "../async/map-concurrently.js";
import { append } from "../bytes/append.js";
import { formatId, formatShortId, type Id, idKey, parseId } from "../bytes/id.js";
import { bytesOfText } from "../bytes/utf8.js";
import { DamagedError, FormatError, NotFoundError, UsageError, YoreError } from "../errors.js";
import { decodeSnapshot, encodeSnapshot, type LoadedSnapshot, type Snapshot } from "../format/snapshot.js";
import { compareTimestamps } from "../format/timestamp.js";
import type { BlobLoader } from "./blob-loader.js";
import { loadNode } from "./load-tree.js";
import type { Repository } from "./repository.js";

/** Which snapshots are meant. An empty list asks for nothing. */
export interface SnapshotFilter {
  /** Any of these. */
  readonly hosts: readonly string[];
  /** All tags of any of these lists; the tag "" stands for a snapshot without tags. */
  readonly tags: readonly (readonly string[])[];
  /** All of these, exactly as stored. */
  readonly paths: readonly string[];
}

export const ANY_SNAPSHOT: SnapshotFilter = { hosts: [], tags: [], paths: [] };

export interface ListSnapshotsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of each snapshot file that cannot be read; without it the first one fails the listing. */
  readonly onError?: ((id: Id, error: YoreError) => void) | undefined;
}

/** What a snapshot argument names: a snapshot, and a folder in it ("" for all of it). */
export interface FoundSnapshot {
  readonly snapshot: LoadedSnapshot;
  readonly subfolder: string;
}

/** Small files of which a local backend reads several in one hop; others have a limit of their own. */
export const SNAPSHOTS_AT_A_TIME = 32;

/** Candidates that a message lists. */
const SHOWN_CANDIDATES = 10;

/** @throws {NotFoundError} or {DamagedError}, naming the snapshot */
export async function loadSnapshot(
  repository: Repository,
  id: Id,
  signal?: AbortSignal,
): Promise<LoadedSnapshot> {
  const json = await repository.loadFile("snapshot", id, signal);
  try {
    return { ...decodeSnapshot(json), id };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DamagedError(`Cannot load snapshot ${formatShortId(id)}: ${cause.message}`, {
      cause,
      hint: `The damaged file is snapshot ${formatId(id)}`,
    });
  }
}

/** Saves a snapshot file; the last step of everything that makes one. @returns its ID */
export function saveSnapshot(repository: Repository, snapshot: Snapshot): Promise<Id> {
  return repository.saveFile("snapshot", encodeSnapshot(snapshot));
}

/** The snapshots that pass the filter, oldest first; those of one moment in the order of the listing. */
export async function listSnapshots(
  repository: Repository,
  filter: SnapshotFilter = ANY_SNAPSHOT,
  options: ListSnapshotsOptions = {},
): Promise<LoadedSnapshot[]> {
  const missing: Id[] = [];
  const load = async (id: Id, isMissed: boolean): Promise<LoadedSnapshot | undefined> => {
    try {
      return await loadSnapshot(repository, id, options.signal);
    } catch (error) {
      if (error instanceof NotFoundError && !isMissed) {
        missing.push(id);
        return undefined;
      }
      if (!options.onError || !(error instanceof YoreError) || error.code === "interrupted") throw error;
      options.onError(id, error);
      return undefined;
    }
  };
  const concurrency = Math.max(SNAPSHOTS_AT_A_TIME, repository.backend.connections);
  const ids = await listIds(repository);
  const snapshots = await mapConcurrently(ids, concurrency, (id) => load(id, false), options.signal);
  if (missing.length > 0) {
    // Forgotten since they were listed, unless they still are: a prune must not take those for gone.
    const listed = new Set((await listIds(repository)).map(idKey));
    const still = missing.filter((id) => listed.has(idKey(id)));
    append(snapshots, await mapConcurrently(still, concurrency, (id) => load(id, true), options.signal));
  }
  return snapshots
    .filter((snapshot) => snapshot !== undefined)
    .filter((snapshot) => matchesFilter(snapshot, filter))
    .sort((a, b) => compareTimestamps(a.time, b.time));
}

async function listIds(repository: Repository): Promise<Id[]> {
  const ids: Id[] = [];
  for await (const { id } of repository.listFiles("snapshot")) ids.push(id);
  return ids;
}

export function matchesFilter(snapshot: Snapshot, { hosts, tags, paths }: SnapshotFilter): boolean {
  if (hosts.length > 0 && !hosts.includes(snapshot.hostname)) return false;
  if (tags.length > 0 && !tags.some((list) => hasTags(snapshot, list))) return false;
  if (paths.length === 0) return true;
  // The parent of a backup of very many targets is asked for by all of them.
  const stored = new Set(snapshot.paths);
  return paths.every((path) => stored.has(path));
}

/**
 * Finds what a snapshot argument names: `latest` (the newest that passes the filter), an ID, or the beginning
 * of one that no other snapshot shares; each can be followed by `:folder`. The filter does not touch IDs.
 *
 * @throws {NotFoundError} if there is none
 * @throws {UsageError} if several snapshots share the beginning, listing them
 */
export async function findSnapshot(
  repository: Repository,
  argument: string,
  filter: SnapshotFilter = ANY_SNAPSHOT,
  options: ListSnapshotsOptions = {},
): Promise<FoundSnapshot> {
  const { name, subfolder } = parseSnapshotArgument(argument);
  if (name === "latest") {
    const snapshot = (await listSnapshots(repository, filter, options)).at(-1);
    if (!snapshot) throw new NotFoundError('Cannot find snapshot "latest": no snapshot found');
    return { snapshot, subfolder };
  }
  const id = await findSnapshotId(repository, name);
  return { snapshot: await loadSnapshot(repository, id, options.signal), subfolder };
}

/** Cuts a snapshot argument at its first colon. */
export function parseSnapshotArgument(argument: string): { name: string; subfolder: string } {
  const colon = argument.indexOf(":");
  if (colon < 0) return { name: argument, subfolder: "" };
  return { name: argument.slice(0, colon), subfolder: argument.slice(colon + 1) };
}

/** The snapshot ID that begins so. @throws {NotFoundError} or {UsageError}, as `findSnapshot` */
export async function findSnapshotId(repository: Repository, prefix: string): Promise<Id> {
  const whole = parseId(prefix);
  if (whole) return whole;
  const found: Id[] = [];
  if (/^[0-9a-f]+$/.test(prefix)) {
    for await (const { id } of repository.listFiles("snapshot"))
      if (formatId(id).startsWith(prefix)) found.push(id);
  }
  const [id] = found;
  // "no matching ID found" and "no snapshot found" above are restic's words, which scripts look for.
  if (!id) throw new NotFoundError(`Cannot find snapshot: no matching ID found for prefix "${prefix}"`);
  if (found.length === 1) return id;
  const shown = found.slice(0, SHOWN_CANDIDATES).map(formatId).sort().join(", ");
  const more = found.length > SHOWN_CANDIDATES ? `, and ${found.length - SHOWN_CANDIDATES} more` : "";
  throw new UsageError(`Cannot find snapshot "${prefix}": ${found.length} IDs begin so: ${shown}${more}`);
}

/**
 * The tree of a folder below a tree. Empty parts and `.` of the path count for nothing, `..` goes up but
 * never out.
 *
 * @throws {NotFoundError} if a part of the path does not exist
 * @throws {UsageError} if a part of it is no directory
 */
export async function resolveSubfolder(
  loader: BlobLoader,
  tree: Id,
  path: string | Buffer,
  signal?: AbortSignal,
): Promise<Id> {
  let id = tree;
  const walked: string[] = [];
  for (const name of pathParts(path)) {
    walked.push(name.toString());
    const shown = walked.join("/");
    const node = await loadNode(loader, id, name, signal);
    if (!node) throw new NotFoundError(`Cannot find folder "${path}": path "${shown}" does not exist`);
    if (node.type !== "dir" || !node.subtree)
      throw new UsageError(`Cannot find folder "${path}": "${shown}" is not a directory`);
    id = node.subtree;
  }
  return id;
}

function pathParts(path: string | Buffer): Buffer[] {
  const parts: Buffer[] = [];
  // Latin-1 carries every byte through a string and back.
  for (const part of (typeof path === "string" ? bytesOfText(path) : path).toString("latin1").split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(Buffer.from(part, "latin1"));
  }
  return parts;
}

/** Whether a snapshot has all of these tags; the tag "" stands for one without tags. */
export function hasTags(snapshot: Snapshot, tags: readonly string[]): boolean {
  for (const tag of tags) {
    // As in restic, which asks for nothing that comes behind: ",a" is met by a snapshot without tags.
    if (tag === "" && snapshot.tags.length === 0) return true;
    if (!snapshot.tags.includes(tag)) return false;
  }
  return true;
}
