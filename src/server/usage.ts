import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FILE_TYPES, type FileType } from "../backend/backend.js";
import { messageOf, systemCodeOf } from "../errors.js";
import { listDeleted } from "./deleted-files.js";
import { type ListedFile, listFiles } from "./file-listing.js";
import { isRepositoryPart, isReservedName, MAX_FOLDER_DEPTH, type RepositoryPath } from "./request-target.js";
import { isServedFolder } from "./served-folder.js";

/** What is known of a repository without any password: names, sizes and times of its files. */
export interface RepositoryUsage {
  /** Of all files, in bytes. */
  bytes: number;
  /** Of those that were deleted and are still kept, in bytes. */
  deletedBytes: number;
  snapshots: number;
  /** When the newest snapshot arrived here, in milliseconds since 1970; 0 when there is none. */
  lastSnapshotMs: number;
  /** When its config arrived here, in milliseconds since 1970; 0 when there is none. */
  createdMs: number;
}

/** A repository that changes all the time has to hold still for the last count. */
const MAX_COUNTS = 3;

/** Changes of a repository. */
interface Changes {
  /** So far. */
  begun: number;
  underWay: number;
}

/** Lets nobody change a repository while it is counted. */
interface Hold {
  readonly key: string;
  readonly over: Promise<void>;
}

/**
 * How much lies in the data folder, for quotas and metrics: counted once at the start, in the background, and kept up
 * to date by what the server does from then on. What others do in the folder is seen after the next start only.
 * Memory: some 300 bytes for each repository.
 */
export class UsageLedger {
  readonly #dataFolder: string;
  readonly #repositories = new Map<string, RepositoryUsage>();
  /** Bytes of uploads under way, which are counted before they are written: a count does not see them. */
  readonly #reserved = new Map<string, number>();
  /** Of each repository while the first count goes on: what changed meanwhile is counted again. */
  readonly #changes = new Map<string, Changes>();
  #held: Hold | undefined;
  #onCalm: (() => void) | undefined;
  #counting = true;

  constructor(dataFolder: string) {
    this.#dataFolder = dataFolder;
  }

  /** Counts everything that is there. @param onProblem gets what could not be counted, one line each */
  async count(onProblem: (line: string) => void): Promise<void> {
    await this.#countFolder([], onProblem);
    this.#counting = false;
    this.#changes.clear();
  }

  /**
   * To be called before a file of a repository appears or goes: while the repository is counted, nobody could tell whether
   * that was seen. May have to wait for the count.
   *
   * @returns to be called when the ledger has been told, or nothing has come of it
   */
  async beginChange(repository: RepositoryPath): Promise<() => void> {
    if (!this.#counting) return () => {};
    const key = keyOf(repository);
    while (this.#held?.key === key) await this.#held.over;
    const changes = this.#changesOf(key);
    changes.begun++;
    changes.underWay++;
    return () => {
      if (--changes.underWay === 0 && this.#held?.key === key) this.#onCalm?.();
    };
  }

  /**
   * Of all repositories that lie in these folders, deleted files that are kept and uploads under way included; of all for
   * `[]`. Bytes.
   */
  bytesBelow(folders: RepositoryPath): number {
    const prefix = keyOf(folders);
    if (folders.length === MAX_FOLDER_DEPTH) return this.bytesOf(folders);
    const isBelow = (key: string) => prefix === "" || key === prefix || key.startsWith(`${prefix}/`);
    let sum = 0;
    for (const [key, usage] of this.#repositories) if (isBelow(key)) sum += bytesOnDisk(usage);
    for (const [key, bytes] of this.#reserved) if (isBelow(key)) sum += bytes;
    return sum;
  }

  /** The same of one repository. */
  bytesOf(repository: RepositoryPath): number {
    const key = keyOf(repository);
    const usage = this.#repositories.get(key);
    return (usage ? bytesOnDisk(usage) : 0) + (this.#reserved.get(key) ?? 0);
  }

  /** Counts bytes of an upload under way, or with a negative number no longer. */
  reserve(repository: RepositoryPath, bytes: number): void {
    const key = keyOf(repository);
    const reserved = (this.#reserved.get(key) ?? 0) + bytes;
    if (reserved > 0) this.#reserved.set(key, reserved);
    else this.#reserved.delete(key);
  }

  /** Adds (or with a negative number takes away) bytes of the files of one repository. */
  add(repository: RepositoryPath, bytes: number): void {
    const usage = this.#change(repository);
    // What others put there was never counted: without a floor, its removal would give room that there is not.
    usage.bytes = Math.max(usage.bytes + bytes, -usage.deletedBytes);
  }

  /** The same for files that were deleted and are kept. */
  addDeleted(repository: RepositoryPath, bytes: number): void {
    this.#change(repository).deletedBytes += bytes;
  }

  /** @param arrivedMs when, in milliseconds since 1970 */
  addSnapshot(repository: RepositoryPath, arrivedMs: number): void {
    const usage = this.#change(repository);
    usage.snapshots++;
    usage.lastSnapshotMs = Math.max(usage.lastSnapshotMs, arrivedMs);
  }

  /** @param createdMs when, in milliseconds since 1970; 0 when there is none any more */
  setConfig(repository: RepositoryPath, createdMs: number): void {
    this.#change(repository).createdMs = createdMs;
  }

  removeSnapshot(repository: RepositoryPath): void {
    const usage = this.#change(repository);
    usage.snapshots = Math.max(0, usage.snapshots - 1);
    if (usage.snapshots === 0) usage.lastSnapshotMs = 0;
  }

  /** Each repository by its path, "" for the one that is the data folder itself. */
  entries(): Iterable<[string, Readonly<RepositoryUsage>]> {
    return this.#repositories;
  }

  #change(repository: RepositoryPath): RepositoryUsage {
    const key = keyOf(repository);
    let usage = this.#repositories.get(key);
    if (!usage) {
      usage = emptyUsage();
      this.#repositories.set(key, usage);
    }
    return usage;
  }

  async #countFolder(folders: RepositoryPath, onProblem: (line: string) => void): Promise<void> {
    try {
      const path = join(this.#dataFolder, ...folders);
      const entries = await readdir(path, { withFileTypes: true });
      if (entries.some((entry) => isRepositoryPart(entry.name))) await this.#countRepository(folders);
      if (folders.length === MAX_FOLDER_DEPTH) return;
      for (const entry of entries) {
        if (!isReservedName(entry.name) && (await isServedFolder(this.#dataFolder, path, entry)))
          await this.#countFolder([...folders, entry.name], onProblem);
      }
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return;
      onProblem(`Cannot count the files of "${keyOf(folders)}": ${messageOf(error)}`);
    }
  }

  async #countRepository(repository: RepositoryPath): Promise<void> {
    const key = keyOf(repository);
    const path = join(this.#dataFolder, ...repository);
    const changes = this.#changesOf(key);
    for (let i = 1; i < MAX_COUNTS; i++) {
      const { begun, underWay } = changes;
      const measured = await measure(path);
      if (underWay > 0 || changes.begun !== begun) continue;
      this.#repositories.set(key, measured);
      return;
    }
    let letGo = () => {};
    const over = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    this.#held = { key, over };
    try {
      if (changes.underWay > 0)
        await new Promise<void>((resolve) => {
          this.#onCalm = resolve;
        });
      this.#repositories.set(key, await measure(path));
    } finally {
      this.#held = undefined;
      letGo();
    }
  }

  #changesOf(key: string): Changes {
    let changes = this.#changes.get(key);
    if (!changes) {
      changes = { begun: 0, underWay: 0 };
      this.#changes.set(key, changes);
    }
    return changes;
  }
}

async function measure(folder: string): Promise<RepositoryUsage> {
  const usage = emptyUsage();
  for await (const files of listDeleted(folder)) for (const file of files) usage.deletedBytes += file.size;
  for (const type of FILE_TYPES) {
    try {
      for await (const files of listFiles(folder, type)) for (const file of files) addFile(usage, type, file);
    } catch (error) {
      // Whoever copies a repository may leave out folders that are empty.
      if (systemCodeOf(error) !== "ENOENT") throw error;
    }
  }
  return usage;
}

function emptyUsage(): RepositoryUsage {
  return { bytes: 0, deletedBytes: 0, snapshots: 0, lastSnapshotMs: 0, createdMs: 0 };
}

function bytesOnDisk(usage: RepositoryUsage): number {
  return usage.bytes + usage.deletedBytes;
}

function addFile(usage: RepositoryUsage, type: FileType, { size, modifiedMs }: ListedFile): void {
  usage.bytes += size;
  if (type === "config") usage.createdMs = modifiedMs;
  if (type !== "snapshot") return;
  usage.snapshots++;
  usage.lastSnapshotMs = Math.max(usage.lastSnapshotMs, modifiedMs);
}

export function keyOf(repository: RepositoryPath): string {
  return repository.join("/");
}
