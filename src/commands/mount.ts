import { parseLocation } from "../backend/location.js";
import { type MountHandle, type MountOptions, mount } from "../mount/mount.js";
import { ANY_SNAPSHOT, findSnapshot, resolveSubfolder } from "../repository/snapshots.js";
import type { FixedRoot } from "../snapfs/snapshot-filesystem.js";
import type { Session } from "./session.js";

export interface MountCommandOptions
  extends Omit<MountOptions, "root" | "localRepository" | "signal" | "onLog"> {
  /** Where the repository lies, as it was named. */
  readonly location: string;
  /** "latest", an ID or the beginning of one, ":folder" behind it: only that is shown, at the root. */
  readonly snapshot?: string | undefined;
}

/** What happens while the mount serves. */
export interface MountWatch {
  /** The mount is usable. */
  readonly onMounted: (mountpoint: string) => void;
  /** It was told to end while programs use it; it goes on for them. */
  readonly onBusy: () => void;
  /** Something that cannot be read, one line. */
  readonly onLog: (line: string) => void;
}

/** How long the end of a mount may take before its user should know why. */
const BUSY_AFTER_MS = 1_000;

/**
 * Mounts the repository of a session and serves until the mount has ended: unmounted from outside, or because the
 * session's signal fired.
 *
 * @throws {YoreError} `mount`, `not-found` for a snapshot or a folder, and what opening throws
 */
export async function runMount(
  session: Session,
  options: MountCommandOptions,
  watch: MountWatch,
): Promise<void> {
  const { location: named, snapshot, ...mountOptions } = options;
  const location = parseLocation(named);
  const handle = await mount(session.repository, {
    ...mountOptions,
    root: snapshot === undefined ? undefined : await fixedRoot(session, snapshot, options),
    localRepository: location.scheme === "local" ? location.path : undefined,
    signal: session.signal,
    onLog: watch.onLog,
  });
  watch.onMounted(handle.mountpoint);
  await ended(handle, session.signal, watch);
}

async function fixedRoot(session: Session, name: string, options: MountCommandOptions): Promise<FixedRoot> {
  const { repository, signal } = session;
  const found = await findSnapshot(repository, name, options.filter ?? ANY_SNAPSHOT, { signal });
  await repository.loadIndex({ signal });
  const tree = await resolveSubfolder(repository, found.snapshot.tree, found.subfolder, signal);
  return { snapshot: found.snapshot, tree };
}

async function ended(handle: MountHandle, signal: AbortSignal, watch: MountWatch): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => watch.onBusy(), BUSY_AFTER_MS);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    await handle.done;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
