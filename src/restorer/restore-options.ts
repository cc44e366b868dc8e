import type { YoreError } from "../errors.js";

/**
 * What to do with a file that is there already: `always` compares the content and writes what differs, `if-changed`
 * trusts equal size and time, `if-newer` wants the snapshot's time to be later, `never` leaves it alone.
 */
export type OverwriteMode = "always" | "if-changed" | "if-newer" | "never";

export const OVERWRITE_MODES: readonly OverwriteMode[] = ["always", "if-changed", "if-newer", "never"];

export interface Selection {
  /** Whether the node itself is restored. */
  readonly selected: boolean;
  /** False only if nothing below the directory can be selected. */
  readonly childMayBeSelected: boolean;
}

/**
 * Chooses what is restored. The location is absolute within the restored tree ("/home/x"), in the text form of
 * `pathText`. Whether something is a directory must not matter for `selected`: `delete` asks with `false` always.
 */
export type Select = (location: string, isDirectory: boolean) => Selection;

export interface RestoreOptions {
  /** The folder that receives the tree; made when it is not there. A symbolic link to a folder is followed. */
  readonly target: string | Uint8Array;
  /** Everything when left out. */
  readonly select?: Select | undefined;
  /** `always` when left out. */
  readonly overwrite?: OverwriteMode | undefined;
  /** Removes what the snapshot does not have from every restored folder, if `select` selects it. */
  readonly delete?: boolean | undefined;
  /** Changes nothing, and counts and reports as if. */
  readonly dryRun?: boolean | undefined;
  /** Leaves holes where the content is zero. */
  readonly sparse?: boolean | undefined;
  /** Reads every written file again and compares it with the blobs' IDs. */
  readonly verify?: boolean | undefined;
  /** Gives files to the user and group of the stored names, and to the stored numbers where a name is unknown here. */
  readonly ownershipByName?: boolean | undefined;
  /** Which extended attributes are set, and removed where the snapshot has none of that name; all when left out. */
  readonly selectXattr?: ((name: string) => boolean) | undefined;
}

/** Counters that a restore keeps up to date and a renderer polls. They count as restic's do. */
export interface RestoreProgress {
  phase: "plan" | "content" | "metadata" | "verify" | "done";
  /** Files, folders and everything else that is to be restored; what is skipped is not among them. */
  filesTotal: number;
  filesRestored: number;
  /** Left alone, or found complete. */
  filesSkipped: number;
  filesDeleted: number;
  bytesTotal: number;
  bytesRestored: number;
  bytesSkipped: number;
  filesToVerify: number;
  filesVerified: number;
}

export function newRestoreProgress(): RestoreProgress {
  return {
    phase: "plan",
    filesTotal: 0,
    filesRestored: 0,
    filesSkipped: 0,
    filesDeleted: 0,
    bytesTotal: 0,
    bytesRestored: 0,
    bytesSkipped: 0,
    filesToVerify: 0,
    filesVerified: 0,
  };
}

export type RestoreAction = "restored" | "updated" | "unchanged" | "deleted";

export type RestoreEvent =
  /** One file, folder or other thing is done; `isFile` when `size` means something. */
  | {
      readonly type: "item";
      readonly action: RestoreAction;
      readonly location: string;
      readonly size: number;
      readonly isFile: boolean;
    }
  /** A thing that is not, or not wholly, restored. */
  | { readonly type: "error"; readonly location: string; readonly error: YoreError }
  /** A thing whose content is right, but not its owner, times, mode or attributes. */
  | { readonly type: "warning"; readonly location: string; readonly error: YoreError }
  | { readonly type: "verifying"; readonly files: number };

export interface RestoreWatch {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: RestoreProgress | undefined;
  readonly on?: ((event: RestoreEvent) => void) | undefined;
}

/** What came of it. `errors` above zero means that something is missing from the target. */
export interface RestoreSummary extends Readonly<Omit<RestoreProgress, "phase">> {
  readonly errors: number;
  readonly warnings: number;
  readonly durationMs: number;
}
