import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { FileType } from "../backend/backend.js";
import { FOLDERS } from "../backend/local-layout.js";
import { keepsBytes } from "../bytes/utf8.js";
import { messageOf, systemCodeOf, throwIfAborted, UsageError, YoreError } from "../errors.js";
import {
  bringBack,
  type DeletedFile,
  type DeletedWhen,
  listDeleted,
  settleBroughtBack,
} from "../server/deleted-files.js";

export interface UndeleteOptions {
  /** The folder of the repository, on the machine that serves it. */
  readonly folder: string;
  /** Only what was deleted then or later, in milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  /** Only what was deleted then or before, in milliseconds since 1970. */
  readonly untilMs?: number | undefined;
  /** Nothing is brought back. */
  readonly dryRun?: boolean | undefined;
}

/** What was deleted within one minute. */
export interface Deletions {
  /** The beginning of the minute, in milliseconds since 1970. */
  readonly minuteMs: number;
  readonly files: Readonly<Record<UndeletedType, number>>;
  /** Of all of them. */
  readonly bytes: number;
}

export type UndeletedType = Exclude<FileType, "lock">;

export interface UndeleteResult {
  /** Oldest first. */
  readonly deletions: readonly Deletions[];
  readonly files: number;
  readonly bytes: number;
  /** Files that lie in the repository again already; they and the deleted ones stay as they are. */
  readonly alreadyThere: number;
  /** Programs that may be at work in the repository. */
  readonly locks: number;
}

/**
 * Brings back what clients deleted from a repository that `yore serve` keeps deleted files of: everything that a
 * snapshot refers to before the snapshot, so that it can be interrupted and run again.
 *
 * @throws {UsageError} for a folder whose name is not UTF-8
 * @throws {YoreError} `backend` when there is no repository, or a file cannot be brought back
 */
export async function runUndelete(options: UndeleteOptions, signal: AbortSignal): Promise<UndeleteResult> {
  const { folder, dryRun = false, ...when } = options;
  if (keepsBytes(folder)) throw new UsageError(`Cannot look into "${folder}": its name is not UTF-8`);
  const { mode } = await requireRepository(folder);
  const minutes = new Map<number, MutableDeletions>();
  let files = 0;
  let bytes = 0;
  let alreadyThere = 0;
  for await (const deleted of listing(folder, when)) {
    const back: DeletedFile[] = [];
    try {
      for (const file of deleted) {
        throwIfAborted(signal);
        if (!dryRun && !(await undelete(folder, file, mode & 0o777))) {
          alreadyThere++;
          continue;
        }
        back.push(file);
        files++;
        bytes += file.size;
        addTo(minutes, file);
      }
    } finally {
      if (!dryRun) await settleBroughtBack(folder, back);
    }
  }
  const deletions = [...minutes.values()].sort((a, b) => a.minuteMs - b.minuteMs);
  return { deletions, files, bytes, alreadyThere, locks: await countLocks(folder) };
}

async function* listing(folder: string, when: DeletedWhen): AsyncIterable<DeletedFile[]> {
  try {
    yield* listDeleted(folder, when);
  } catch (error) {
    throw new YoreError("backend", `Cannot look into "${folder}": ${messageOf(error)}`, { cause: error });
  }
}

type MutableDeletions = { minuteMs: number; files: Record<UndeletedType, number>; bytes: number };

const MINUTE_MS = 60_000;

function addTo(minutes: Map<number, MutableDeletions>, { handle, deletedMs, size }: DeletedFile): void {
  const minuteMs = Math.floor(deletedMs / MINUTE_MS) * MINUTE_MS;
  let deletions = minutes.get(minuteMs);
  if (!deletions) {
    deletions = { minuteMs, files: { config: 0, key: 0, pack: 0, index: 0, snapshot: 0 }, bytes: 0 };
    minutes.set(minuteMs, deletions);
  }
  deletions.files[handle.type as UndeletedType]++;
  deletions.bytes += size;
}

async function undelete(folder: string, file: DeletedFile, folderMode: number): Promise<boolean> {
  try {
    return await bringBack(folder, file, folderMode);
  } catch (error) {
    throw new YoreError("backend", `Cannot bring back "${file.path}": ${messageOf(error)}`, { cause: error });
  }
}

/** A repository is told by its folder of packs: its config may be among what was deleted. */
async function requireRepository(folder: string): Promise<{ readonly mode: number }> {
  try {
    return await lstat(join(folder, FOLDERS.pack));
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT")
      throw new YoreError("backend", `Cannot look into "${folder}": ${messageOf(error)}`, { cause: error });
    throw new YoreError("backend", `Cannot find a repository in "${folder}"`, {
      hint: "Name the folder of one repository, such as /srv/backups/ada/laptop",
      cause: error,
    });
  }
}

async function countLocks(folder: string): Promise<number> {
  const names = await readdir(join(folder, FOLDERS.lock)).catch(() => []);
  return names.length;
}
