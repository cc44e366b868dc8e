import { posix } from "node:path";
import { UsageError, type YoreError } from "../errors.js";
import type { LoadedSnapshot } from "../format/snapshot.js";
import { type PatternList, parsePatterns } from "../patterns/mod.js";
import { findSnapshot, resolveSubfolder, type SnapshotFilter } from "../repository/snapshots.js";
import { restore } from "../restorer/restore.js";
import type { OverwriteMode, RestoreSummary, RestoreWatch, Select } from "../restorer/restore-options.js";
import type { Session } from "./session.js";

export interface RestoreCommandOptions {
  /** "latest", an ID or the beginning of one, with ":folder" behind it if only that is restored. */
  readonly snapshot: string;
  /** What `latest` may be. */
  readonly filter: SnapshotFilter;
  readonly target: string | Uint8Array;
  /** What is left out; several lists because some fold case. Not together with `includes`. */
  readonly excludes?: readonly PatternList[];
  /** All that is restored. */
  readonly includes?: readonly PatternList[];
  /** Patterns of names of extended attributes; not both. */
  readonly excludeXattrs?: readonly string[];
  readonly includeXattrs?: readonly string[];
  readonly overwrite?: OverwriteMode;
  readonly delete?: boolean;
  readonly dryRun?: boolean;
  readonly sparse?: boolean;
  readonly verify?: boolean;
  readonly ownershipByName?: boolean;
}

export interface RestoreCommandWatch extends RestoreWatch {
  /** Told before anything is written. */
  readonly onSnapshot?: (snapshot: LoadedSnapshot) => void;
  /** An index file that cannot be read: what only it knows will be missing. */
  readonly onIndexProblem?: (error: YoreError) => void;
}

export interface RestoreResult {
  readonly snapshot: LoadedSnapshot;
  readonly summary: RestoreSummary;
  /** Index files that could not be read. */
  readonly indexProblems: number;
}

/**
 * Writes a snapshot, or a folder of it, into a folder.
 *
 * @throws {UsageError} for combinations that make no sense
 * @throws {NotFoundError} if there is no such snapshot or folder
 */
export async function runRestore(
  session: Session,
  options: RestoreCommandOptions,
  watch: RestoreCommandWatch = {},
): Promise<RestoreResult> {
  checkRestoreOptions(options);
  const { repository, signal } = session;
  const found = await findSnapshot(repository, options.snapshot, options.filter, { signal });
  await repository.loadIndex({ signal });
  for (const { error } of repository.indexProblems) watch.onIndexProblem?.(error);
  const tree = await resolveSubfolder(repository, found.snapshot.tree, found.subfolder, signal);
  watch.onSnapshot?.(found.snapshot);
  const { target, overwrite, dryRun, sparse, verify, ownershipByName } = options;
  const summary = await restore(
    repository,
    tree,
    {
      target,
      select: chooseSelect(options),
      overwrite,
      delete: options.delete,
      dryRun,
      sparse,
      verify,
      ownershipByName,
      selectXattr: chooseSelectXattr(options),
    },
    { signal, progress: watch.progress, on: watch.on },
  );
  return { snapshot: found.snapshot, summary, indexProblems: repository.indexProblems.length };
}

/** @throws {UsageError} for combinations that make no sense; to be called before any password is asked for */
export function checkRestoreOptions(options: RestoreCommandOptions): void {
  const { excludes = [], includes = [], excludeXattrs = [], includeXattrs = [], target } = options;
  const isFiltered = excludes.length > 0 || includes.length > 0;
  if (target.length === 0) throw new UsageError("please specify a directory to restore to (--target)");
  if (excludes.length > 0 && includes.length > 0)
    throw new UsageError("exclude and include patterns are mutually exclusive");
  if (excludeXattrs.length > 0 && includeXattrs.length > 0)
    throw new UsageError("exclude and include xattr patterns are mutually exclusive");
  if (options.dryRun && options.verify) throw new UsageError("--dry-run and --verify are mutually exclusive");
  if (options.delete && posix.resolve(Buffer.from(target).toString()) === "/" && !isFiltered)
    throw new UsageError("'--target / --delete' must be combined with an include or exclude filter");
  // For what it throws.
  chooseSelectXattr(options);
}

function chooseSelect({ excludes = [], includes = [] }: RestoreCommandOptions): Select | undefined {
  if (excludes.length > 0)
    return (location) => {
      const selected = !excludes.some((list) => list.matches(location));
      // Nothing below an excluded folder is looked at, whatever later patterns take back.
      return { selected, childMayBeSelected: selected };
    };
  if (includes.length > 0)
    return (location) => {
      const matches = includes.map((list) => list.match(location));
      return {
        selected: matches.some(({ matched }) => matched),
        childMayBeSelected: matches.some(({ childMayMatch }) => childMayMatch),
      };
    };
  return undefined;
}

function parseXattrPatterns(flag: string, patterns: readonly string[]): PatternList {
  return parsePatterns(patterns, { sources: patterns.map((pattern) => `${flag} "${pattern}"`) });
}

function chooseSelectXattr(options: RestoreCommandOptions): ((name: string) => boolean) | undefined {
  const { excludeXattrs = [], includeXattrs = [] } = options;
  if (excludeXattrs.length > 0) {
    const patterns = parseXattrPatterns("--exclude-xattr", excludeXattrs);
    return (name) => !patterns.matches(name);
  }
  if (includeXattrs.length > 0) {
    const patterns = parseXattrPatterns("--include-xattr", includeXattrs);
    return (name) => patterns.matches(name);
  }
  return undefined;
}
