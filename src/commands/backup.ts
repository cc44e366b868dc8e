import type { Readable } from "node:stream";
import {
  type BackupOptions,
  type BackupSummary,
  type BackupWatch,
  backup,
  CACHE_TAG,
  cleanRaw,
  type ParentGroup,
  parseTagFile,
  type RawPath,
  rawPath,
  type SelectionRules,
} from "../archiver/mod.js";
import { UsageError } from "../errors.js";
import type { Timestamp } from "../format/timestamp.js";
import { collectTargets, type TargetSources } from "./backup-targets.js";
import { startCommand, type TextSink } from "./command-stream.js";
import { loadPatterns } from "./load-patterns.js";
import { programVersion } from "./program-version.js";
import type { Session } from "./session.js";

export {
  type BackupEvent,
  BackupProgress,
  type BackupSummary,
  displayPath,
  type ItemEvent,
} from "../archiver/mod.js";

/** What to leave out, as it is asked for. */
export interface ExcludeOptions {
  readonly excludes: readonly string[];
  readonly ignoreCaseExcludes: readonly string[];
  readonly excludeFiles: readonly string[];
  readonly ignoreCaseExcludeFiles: readonly string[];
  readonly excludeCaches: boolean;
  /** Each `filename[:header]`. */
  readonly excludeIfPresent: readonly string[];
  readonly excludeLargerThanBytes: number | undefined;
  /** Leave out what the `.gitignore` files of working trees ignore. */
  readonly excludeGitIgnored: boolean;
  readonly oneFileSystem: boolean;
  /** The program's own cache, which is never backed up. */
  readonly cacheFolder: string | undefined;
}

/** A file that is made of a stream. */
export interface StreamOptions {
  /** Its path in the snapshot; a leading slash is added. */
  readonly filename: string;
  /** Whose output it is; standard input when left out. */
  readonly command?: readonly string[] | undefined;
}

export interface BackupCommandOptions {
  readonly sources: TargetSources;
  readonly exclude: ExcludeOptions;
  readonly stream: StreamOptions | undefined;
  /** A snapshot argument; the newest of the group when left out. */
  readonly parent: string | undefined;
  readonly force: boolean;
  readonly groupBy: ParentGroup;
  readonly host: string | undefined;
  readonly tags: readonly string[];
  readonly time: Timestamp | undefined;
  readonly withAtime: boolean;
  readonly ignoreCtime: boolean;
  readonly ignoreInode: boolean;
  readonly dryRun: boolean;
  readonly skipIfUnchanged: boolean;
  /** 0 for the default. */
  readonly readConcurrency: number;
  readonly scan: boolean;
  readonly reportItems: boolean;
}

/** What the command meets outside of the repository. */
export interface BackupSurroundings {
  readonly stdin: Readable;
  readonly stderr: TextSink;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For commands that are started: without our own variables. */
  readonly childEnvironment: Readonly<Record<string, string | undefined>>;
  readonly warn: (message: string) => void;
}

/** A backup that is checked and ready; made before the repository is opened, so that a slip costs no password. */
export interface PreparedBackup {
  readonly options: BackupOptions;
  readonly rules: SelectionRules;
  /** Of each pattern of each of the rules' lists, where it was said, as people read it. */
  readonly patternSources: readonly (readonly string[])[];
  /** Targets that were named and do not exist. */
  readonly missing: number;
  readonly stream: StreamOptions | undefined;
  readonly surroundings: BackupSurroundings;
}

/** @throws {UsageError} for what makes no sense: nothing to back up, bad patterns, contradictions */
export async function prepareBackup(
  options: BackupCommandOptions,
  surroundings: BackupSurroundings,
): Promise<PreparedBackup> {
  const { stream, exclude } = options;
  if (stream) refuseOtherSources(options);
  const { rules, patternSources } = await collectRules(exclude, surroundings.environment);
  const { targets, missing } = stream
    ? { targets: [], missing: 0 }
    : await collectTargets(options.sources, () => readAll(surroundings.stdin), surroundings.warn);
  return {
    missing,
    rules,
    patternSources,
    stream,
    surroundings,
    options: {
      ...options,
      targets,
      rules,
      excludes: exclude.excludes,
      estimate: options.scan,
      readConcurrency: options.readConcurrency || 2,
      parent: chooseParent(options),
      programVersion: `yore ${programVersion()}`,
    },
  };
}

/** Makes the snapshot. @throws {YoreError} if there is none in the end */
export async function runBackup(
  session: Session,
  prepared: PreparedBackup,
  watch: Omit<BackupWatch, "signal"> = {},
): Promise<BackupSummary> {
  const { stream, surroundings, options } = prepared;
  const watched = { ...watch, signal: session.signal };
  if (!stream) return backup(session.repository, options, watched);
  const path = streamPath(stream);
  if (!stream.command) {
    const virtualFile = { path, source: "stdin", stream: surroundings.stdin };
    return backup(session.repository, { ...options, virtualFile }, watched);
  }
  const command = await startCommand(stream.command, surroundings.childEnvironment, surroundings.stderr);
  try {
    const finished = () => command.finished();
    const virtualFile = { path, source: "stdin", stream: command.stream, finished };
    return await backup(session.repository, { ...options, virtualFile }, watched);
  } finally {
    command.stop();
  }
}

/** Where the file lies in the snapshot. */
export function streamPath({ filename }: StreamOptions): RawPath {
  return cleanRaw(`/${rawPath(filename)}`);
}

/** Standard input has no history to be compared with; what a command prints has. */
function chooseParent({ force, stream, parent, groupBy }: BackupCommandOptions): BackupOptions["parent"] {
  if (force || (stream && !stream.command)) return null;
  return parent === undefined ? { groupBy } : { snapshot: parent, groupBy };
}

function refuseOtherSources({ sources, stream }: BackupCommandOptions): void {
  for (const [flag, files] of [
    ["--files-from", sources.filesFrom],
    ["--files-from-verbatim", sources.filesFromVerbatim],
    ["--files-from-raw", sources.filesFromRaw],
  ] as const) {
    if (files.length > 0) throw new UsageError(`--stdin and ${flag} cannot be used together`);
  }
  if (!stream!.command && sources.paths.length > 0)
    throw new UsageError("--stdin was specified and files/dirs were listed as arguments");
}

async function collectRules(
  exclude: ExcludeOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Pick<PreparedBackup, "rules" | "patternSources">> {
  const tagFiles = exclude.excludeIfPresent.map(parseTagFile);
  if (exclude.excludeCaches) tagFiles.push(CACHE_TAG);
  const collected = [
    await loadPatterns(
      { flag: "--exclude", patterns: exclude.excludes, files: exclude.excludeFiles },
      environment,
    ),
    await loadPatterns(
      {
        flag: "--iexclude",
        patterns: exclude.ignoreCaseExcludes,
        files: exclude.ignoreCaseExcludeFiles,
        ignoreCase: true,
      },
      environment,
    ),
  ].filter(({ list }) => list.length > 0);
  const rules = {
    patterns: collected.map(({ list }) => list),
    excludedFolders: exclude.cacheFolder ? [cleanRaw(rawPath(exclude.cacheFolder))] : [],
    maxFileBytes: exclude.excludeLargerThanBytes,
    tagFiles,
    gitIgnore: exclude.excludeGitIgnored,
    oneFileSystem: exclude.oneFileSystem,
  };
  return { rules, patternSources: collected.map(({ sources }) => sources) };
}

async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
