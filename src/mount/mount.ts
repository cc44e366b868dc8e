/**
 * Puts the pieces of a mount together: repository, caches, filesystem, driver. The mount holds no lock, so nothing
 * that it does keeps a prune waiting; when a pack is gone the index is loaded again and the blob is looked up anew.
 */

import { join } from "node:path";
import { untilInterrupted, withDeadline } from "../async/deadline.js";
import { idKey } from "../bytes/id.js";
import { BlobCache, DEFAULT_BLOB_CACHE_BYTES } from "../cache/blob-cache.js";
import { TreeCache } from "../cache/tree-cache.js";
import { type MountHandle as DriverHandle, type DriverName, mountFilesystem } from "../fuse/mount.js";
import { prepareMountpoint } from "../fuse/prepare-mountpoint.js";
import type { Repository } from "../repository/repository.js";
import { ANY_SNAPSHOT, type SnapshotFilter } from "../repository/snapshots.js";
import { windowsSafeName } from "../snapfs/safe-name.js";
import { SnapshotFilesystem, type SnapshotFilesystemOptions } from "../snapfs/snapshot-filesystem.js";
import { IndexedLoader } from "./indexed-loader.js";
import { refuseOverlap } from "./overlap.js";
import { overridesPermissions } from "./overrides-permissions.js";
import { RepositorySnapshots } from "./repository-snapshots.js";
import { SnapshotWatcher } from "./snapshot-watcher.js";

export interface MountOptions extends Omit<SnapshotFilesystemOptions, "statistics" | "listTtlMs"> {
  /** An existing directory outside the repository. */
  readonly mountpoint: string;
  /** Which snapshots are shown; all when left out. */
  readonly filter?: SnapshotFilter | undefined;
  /** Other users may look in. */
  readonly allowOther?: boolean | undefined;
  /**
   * The kernel enforces modes, and with `allowOther` ACLs; when left out it does so if others may look in, or if nothing is
   * kept from whoever mounts by it: then `access` tells what can be executed, which nobody else could tell it.
   */
  readonly defaultPermissions?: boolean | undefined;
  /** As in `MountOptions` of `fuse/mount.ts`: true when left out. */
  readonly busyWait?: boolean | undefined;
  /** Bytes of plaintext that are kept in memory; 64 MiB when left out, of which a few readers need half. */
  readonly cacheBytes?: number | undefined;
  /** After so many milliseconds without an answer of the backend a reader gets an error; 60,000 when left out. */
  readonly readTimeoutMs?: number | undefined;
  /** Between two looks at the list of snapshots, milliseconds; 5,000 when left out. */
  readonly refreshMs?: number | undefined;
  /** "auto" when left out: our own transport, or fuse-native where there is none. */
  readonly driver?: "auto" | DriverName | undefined;
  /** Path of the repository if it is local: it must not lie in the mountpoint, and is watched for new snapshots. */
  readonly localRepository?: string | undefined;
  /** Unmounts when it fires, lazily if the mount is busy. */
  readonly signal?: AbortSignal | undefined;
}

export interface MountHandle {
  /** Without symlinks. */
  readonly mountpoint: string;
  readonly blobs: BlobCache;
  readonly filesystem: SnapshotFilesystem;
  /** Takes the mount away. What programs have open there stays readable until they close it; `done` waits for them. */
  unmount(): Promise<void>;
  /** Resolves when the kernel has let go, whoever unmounted. */
  readonly done: Promise<void>;
}

const DEFAULT_READ_TIMEOUT_MS = 60_000;
const DEFAULT_REFRESH_MS = 5_000;
/** The longest that a timer can wait: what is open stays readable until it is closed. */
const AS_LONG_AS_NEEDED_MS = 2 ** 31 - 1;
/** Loads give up before the driver does, so that the log says which blob it was and not only that it took too long. */
const LOAD_TIMEOUT_SHARE = 0.9;

/**
 * Mounts the snapshots of a repository. Resolves when the mount is usable and shows them all; the index may still be
 * loading then.
 *
 * @throws {YoreError} `mount` if the mountpoint cannot be used, and whatever listing the snapshots throws
 */
export async function mount(repository: Repository, options: MountOptions): Promise<MountHandle> {
  const readTimeoutMs = options.readTimeoutMs ?? DEFAULT_READ_TIMEOUT_MS;
  const onLog = options.onLog ?? (() => undefined);
  const allowOther = options.allowOther ?? false;
  const mountpoint = await prepareMountpoint(options.mountpoint);
  if (options.localRepository !== undefined) await refuseOverlap(mountpoint, options.localRepository);

  const timeoutMs = readTimeoutMs * LOAD_TIMEOUT_SHARE;
  const loader = new IndexedLoader(repository);
  const blobs = new BlobCache(loader, {
    maxBytes: options.cacheBytes ?? DEFAULT_BLOB_CACHE_BYTES,
    timeoutMs,
  });
  const trees = new TreeCache(loader, {
    timeoutMs,
    ...(options.windowsSafeNames ? { rename: windowsSafeName } : {}),
  });
  const snapshots = new RepositorySnapshots(repository, options.filter ?? ANY_SNAPSHOT, onLog);
  const refreshMs = options.refreshMs ?? DEFAULT_REFRESH_MS;
  const filesystem = new SnapshotFilesystem(snapshots, blobs, trees, {
    ...options,
    listTtlMs: refreshMs,
    statistics: repositoryStatistics(repository),
  });
  const listed = withDeadline(filesystem.refresh(), readTimeoutMs, "list snapshots");
  await untilInterrupted(listed, options.signal);
  // Nobody waits for the index here; a failure is met, and told, by the first who needs a blob.
  const tellIndexProblems = indexProblemTeller(repository, onLog);
  loader.ready().then(tellIndexProblems, () => undefined);

  const driver = await mountFilesystem(filesystem, {
    mountpoint,
    fsname: `yore:${repository.config.id.slice(0, 10)}`,
    allowOther,
    defaultPermissions: options.defaultPermissions ?? (allowOther || overridesPermissions()),
    posixAcls: allowOther && options.defaultPermissions !== false,
    readDeadlineMs: readTimeoutMs,
    busyWait: options.busyWait ?? true,
    ...(options.driver === undefined ? {} : { driver: options.driver }),
    onLog,
  });
  const watcher = new SnapshotWatcher(() => filesystem.refresh().then(tellIndexProblems), {
    intervalMs: refreshMs,
    timeoutMs: readTimeoutMs,
    folder: options.localRepository && join(options.localRepository, "snapshots"),
    onLog,
  });
  if (!options.root) await watcher.start();
  return handleOf({ mountpoint, driver, watcher, filesystem, blobs }, options.signal, onLog);
}

interface Parts {
  readonly mountpoint: string;
  readonly driver: DriverHandle;
  readonly watcher: SnapshotWatcher;
  readonly filesystem: SnapshotFilesystem;
  readonly blobs: BlobCache;
}

function handleOf(
  { mountpoint, driver, watcher, filesystem, blobs }: Parts,
  signal: AbortSignal | undefined,
  onLog: (line: string) => void,
): MountHandle {
  const unmount = () => driver.unmount({ lazyIfBusy: true, graceMs: AS_LONG_AS_NEEDED_MS });
  const onAbort = () => {
    unmount().catch((error: Error) => onLog(error.message));
  };
  const done = driver.done.finally(() => {
    signal?.removeEventListener("abort", onAbort);
    watcher.stop();
  });
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  return { mountpoint, blobs, filesystem, unmount, done };
}

/** Says once of each index file that it cannot be read: what only it lists would look as if nobody had ever saved it. */
function indexProblemTeller(repository: Repository, onLog: (line: string) => void): () => void {
  const told = new Set<string>();
  return () => {
    for (const { id, error } of repository.indexProblems) {
      if (told.has(idKey(id))) continue;
      told.add(idKey(id));
      onLog(`${error.message}; run \`yore check\``);
    }
  };
}

/** For statfs: what the packs hold; counted again only when the index has changed. */
function repositoryStatistics(repository: Repository): () => { storedBytes: number; files: number } {
  let countedBlobs = -1;
  let storedBytes = 0;
  return () => {
    if (repository.index.size !== countedBlobs) {
      countedBlobs = repository.index.size;
      storedBytes = repository.index.storedBytes;
    }
    return { storedBytes, files: countedBlobs };
  };
}
