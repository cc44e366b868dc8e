/**
 * Snapshot files: JSON in restic's order of fields. Fields that restic does not know (rustic has several) are kept in
 * `unknown` and written back behind the known ones, so that changing a tag never loses what another program stored.
 */

import { formatId, type Id } from "../bytes/id.js";
import { goJsonObject } from "./go-json.js";
import { JsonFields } from "./json-fields.js";
import { formatTimestamp, type Timestamp, ZERO_TIME } from "./timestamp.js";

/** One backup: when, where, what of, and the root tree. */
export interface Snapshot {
  readonly time: Timestamp;
  /** The snapshot that was compared with, to spare reading unchanged files. */
  readonly parent?: Id | undefined;
  /** ID of the root tree. */
  readonly tree: Id;
  /** The targets, absolute, as given. */
  readonly paths: readonly string[];
  readonly hostname: string;
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
  /** Patterns, as typed. */
  readonly excludes: readonly string[];
  readonly tags: readonly string[];
  /** The snapshot that this one was made from by `tag`, `copy` or `rewrite`. */
  readonly original?: Id | undefined;
  /** Such as `restic 0.19.1`. */
  readonly programVersion: string;
  readonly summary?: SnapshotSummary | undefined;
  /** Fields of other programs. */
  readonly unknown: Readonly<Record<string, unknown>>;
}

/** A snapshot with the ID of its file. */
export type LoadedSnapshot = Snapshot & { readonly id: Id };

/** What the backup did, all counts from 0 on; sizes in bytes. */
export interface SnapshotSummary {
  readonly backupStart: Timestamp;
  readonly backupEnd: Timestamp;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  readonly dirsNew: number;
  readonly dirsChanged: number;
  readonly dirsUnmodified: number;
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Bytes added before compression. */
  readonly dataAdded: number;
  /** Bytes added as stored. */
  readonly dataAddedPacked: number;
  readonly totalFilesProcessed: number;
  readonly totalBytesProcessed: number;
  /** Fields of other programs. */
  readonly unknown?: Readonly<Record<string, unknown>> | undefined;
}

const MAX_UINT32 = 0xffff_ffff;

/** @throws {FormatError} if it is not JSON, lacks time or tree, or a field is of the wrong kind */
export function decodeSnapshot(json: Uint8Array): Snapshot {
  const fields = JsonFields.parse("snapshot", json);
  const summary = fields.object("summary");
  return {
    time: fields.requiredTime("time"),
    parent: fields.id("parent"),
    tree: fields.requiredId("tree"),
    paths: fields.texts("paths"),
    hostname: fields.text("hostname"),
    username: fields.text("username"),
    uid: fields.count("uid", MAX_UINT32),
    gid: fields.count("gid", MAX_UINT32),
    excludes: fields.texts("excludes"),
    tags: fields.texts("tags"),
    original: fields.id("original"),
    programVersion: fields.text("program_version"),
    summary: summary && decodeSummary(summary),
    unknown: fields.unknown(),
  };
}

/** The JSON of a snapshot file, byte for byte as restic would write it. */
export function encodeSnapshot(snapshot: Snapshot): Buffer {
  const json = goJsonObject([
    ["time", formatTimestamp(snapshot.time)],
    ["parent", snapshot.parent && formatId(snapshot.parent)],
    ["tree", formatId(snapshot.tree)],
    ["paths", snapshot.paths],
    ["hostname", snapshot.hostname || undefined],
    ["username", snapshot.username || undefined],
    ["uid", snapshot.uid || undefined],
    ["gid", snapshot.gid || undefined],
    ["excludes", unlessEmpty(snapshot.excludes)],
    ["tags", unlessEmpty(snapshot.tags)],
    ["original", snapshot.original && formatId(snapshot.original)],
    ["program_version", snapshot.programVersion || undefined],
    ["summary", snapshot.summary && summaryMembers(snapshot.summary)],
    ...Object.entries(snapshot.unknown),
  ]);
  return Buffer.from(json, "utf8");
}

/** The summary as restic's JSON has it, also for output to scripts. */
export function summaryMembers(summary: SnapshotSummary): Record<string, unknown> {
  return {
    backup_start: formatTimestamp(summary.backupStart),
    backup_end: formatTimestamp(summary.backupEnd),
    files_new: summary.filesNew,
    files_changed: summary.filesChanged,
    files_unmodified: summary.filesUnmodified,
    dirs_new: summary.dirsNew,
    dirs_changed: summary.dirsChanged,
    dirs_unmodified: summary.dirsUnmodified,
    data_blobs: summary.dataBlobs,
    tree_blobs: summary.treeBlobs,
    data_added: summary.dataAdded,
    data_added_packed: summary.dataAddedPacked,
    total_files_processed: summary.totalFilesProcessed,
    total_bytes_processed: summary.totalBytesProcessed,
    ...summary.unknown,
  };
}

/** Lenient, as restic is: what a summary says is no reason to lose its snapshot. */
function decodeSummary(fields: JsonFields): SnapshotSummary {
  return {
    backupStart: fields.time("backup_start") ?? ZERO_TIME,
    backupEnd: fields.time("backup_end") ?? ZERO_TIME,
    filesNew: fields.clampedCount("files_new"),
    filesChanged: fields.clampedCount("files_changed"),
    filesUnmodified: fields.clampedCount("files_unmodified"),
    dirsNew: fields.clampedCount("dirs_new"),
    dirsChanged: fields.clampedCount("dirs_changed"),
    dirsUnmodified: fields.clampedCount("dirs_unmodified"),
    dataBlobs: fields.clampedCount("data_blobs"),
    treeBlobs: fields.clampedCount("tree_blobs"),
    dataAdded: fields.clampedCount("data_added"),
    dataAddedPacked: fields.clampedCount("data_added_packed"),
    totalFilesProcessed: fields.clampedCount("total_files_processed"),
    totalBytesProcessed: fields.clampedCount("total_bytes_processed"),
    unknown: fields.unknown(),
  };
}

function unlessEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}
