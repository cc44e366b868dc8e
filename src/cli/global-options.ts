/**
 * The flags that every command has, their environment variables and what follows from both. A flag beats the
 * environment; `YORE_*` beats `RESTIC_*`. A value that makes no sense is refused wherever it comes from.
 */

import { homedir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { COMPRESSION_MODES, type CompressionMode } from "../commands/compression-modes.js";
import type { CacheOptions, RepositoryOptions } from "../commands/session.js";
import { UsageError } from "../errors.js";
import { ONE_MORE } from "./arguments.js";
import { describeEnvironment, type Environment, readEnvironment } from "./environment.js";
import { checkFeatureFlags } from "./feature-flags.js";
import { invalidArgument } from "./invalid-argument.js";
import type { Io } from "./output.js";
import { resolveRepositoryOptions } from "./repository-options.js";
import { resolveTransportOptions, type TransportFlags } from "./transport-options.js";
import { parseDuration, parseSize } from "./units.js";

export interface GlobalOptions {
  readonly json: boolean;
  /** 0 quiet, 1 as usual, 2 and 3 for one and two `-v`. */
  readonly verbosity: 0 | 1 | 2 | 3;
  readonly noLock: boolean;
  /** How long to keep trying for a lock; 0 gives up at once. */
  readonly retryLockMs: number;
  /** `undefined` with `--no-cache`. */
  readonly cache: CacheOptions | undefined;
  readonly cleanupCache: boolean;
  /** How any repository is reached that the command names. */
  readonly access: RepositoryAccess;
  /** Pictures a second of progress, from YORE_PROGRESS_FPS; `undefined` leaves it to the renderer. */
  readonly progressFps: number | undefined;
  /**
   * Where the repository is and how it is opened. Only called by commands that need one.
   * @throws {UsageError} if none is named, or two
   */
  repository(): RepositoryOptions;
}

export type RepositoryAccess = Pick<RepositoryOptions, "backendOptions" | "transport" | "cache">;

/** As commander collects them; absent when not given. */
export interface GlobalFlags extends TransportFlags {
  readonly repo?: string;
  readonly repositoryFile?: string;
  readonly passwordFile?: string;
  readonly passwordCommand?: string;
  readonly insecureNoPassword?: boolean;
  readonly keyHint?: string;
  readonly lock: boolean;
  readonly retryLock?: number;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number;
  readonly cacheDir?: string;
  readonly cache: boolean;
  readonly cleanupCache?: boolean;
  readonly cacheData?: boolean;
  readonly cacheLimit?: number;
  readonly compression?: CompressionMode;
  readonly packSize?: number;
  readonly extraVerify: boolean;
  readonly option?: string[];
}

const MIN_PACK_MIB = 4;
const MAX_PACK_MIB = 128;
const MAX_FPS = 60;

/** Declares the global flags on the program. */
export function addGlobalOptions(program: Command): void {
  const add = (flags: string, description: string, environment?: string) => {
    const more = environment ? ` (default: ${describeEnvironment(environment)})` : "";
    const option = new Option(flags, description + more);
    program.addOption(option);
    return option;
  };
  add("-r, --repo <repository>", "repository to work with", "REPOSITORY");
  add("--repository-file <file>", "file to read the repository location from", "REPOSITORY_FILE");
  add("-p, --password-file <file>", "file to read the repository password from", "PASSWORD_FILE");
  add("--password-command <command>", "command that prints the repository password", "PASSWORD_COMMAND");
  add("--insecure-no-password", "use an empty password; every command needs the flag (insecure)");
  add("--key-hint <key>", "ID of the key to try first", "KEY_HINT");
  add("--no-lock", "do not lock the repository, for commands that only read");
  add(
    "--retry-lock <duration>",
    "keep trying for a lock so long, like 5m or 2h (default: no retries)",
  ).argParser((value: string) => parseDuration("--retry-lock", value));
  add("--json", "print JSON, for commands that have it");
  add("-q, --quiet", "print nothing that was not asked for");
  add("-v, --verbose [n]", "print more; twice, or --verbose=2, for still more")
    .preset(ONE_MORE)
    .argParser((value: string, previous: number | undefined) =>
      value === ONE_MORE ? (previous ?? 0) + 1 : parseCount("--verbose", value),
    );
  add("--cache-dir <directory>", "directory of the local cache", "CACHE_DIR");
  add("--no-cache", "do not use a local cache");
  add("--cache-data", "cache file content too, not only what is needed to walk", "CACHE_DATA");
  add("--cache-limit <size>", "bytes of packs that the cache may take, such as 20G", "CACHE_LIMIT").argParser(
    (value: string) => parseSize("--cache-limit", value),
  );
  add("--cleanup-cache", "remove old cache directories");
  add("--compression <mode>", `one of ${COMPRESSION_MODES.join("|")}`, "COMPRESSION").argParser(
    (value: string) => parseCompression("--compression", value),
  );
  add("--pack-size <size>", "target size of packs in MiB", "PACK_SIZE").argParser((value: string) =>
    parseCount("--pack-size", value),
  );
  add("--no-extra-verify", "do not verify data again before it is saved");
  add("--limit-upload <rate>", "at most so many KiB/s (default: unlimited)").argParser((value: string) =>
    parseCount("--limit-upload", value),
  );
  add("--limit-download <rate>", "at most so many KiB/s (default: unlimited)").argParser((value: string) =>
    parseCount("--limit-download", value),
  );
  add(
    "--cacert <file>",
    "file of root certificates instead of the system's (repeatable)",
    "CACERT",
  ).argParser(collect);
  add("--tls-client-cert <file>", "PEM file of the TLS client's certificate and key", "TLS_CLIENT_CERT");
  add("--insecure-tls", "do not verify TLS certificates (insecure)");
  add("--http-user-agent <text>", "user agent of HTTP requests", "HTTP_USER_AGENT");
  add(
    "--stuck-request-timeout <duration>",
    "retry a request that stands still so long (default: 5m)",
  ).argParser((value: string) => parseDuration("--stuck-request-timeout", value));
  add("-o, --option <key=value>", "extended option of a backend (repeatable)").argParser(collect);
}

/** @throws {UsageError} for values that make no sense */
export function resolveGlobalOptions(flags: GlobalFlags, io: Io): GlobalOptions {
  const { env } = io;
  for (const warning of checkFeatureFlags(env)) io.stderr.line(warning);
  const verbose = flags.verbose ?? 0;
  if (flags.quiet && verbose > 0)
    throw new UsageError("--quiet and --verbose cannot be specified at the same time");
  const compression = flags.compression ?? compressionFromEnvironment(env);
  const packSizeBytes = resolvePackSize(flags, env);
  const cache = flags.cache ? resolveCacheOptions(flags, env) : undefined;
  const access: RepositoryAccess = {
    backendOptions: parseExtendedOptions(flags.option ?? []),
    transport: resolveTransportOptions(flags, env),
    cache,
  };
  const keyHint = flags.keyHint ?? readEnvironment(env, "KEY_HINT")?.value;
  return {
    json: flags.json === true,
    verbosity: flags.quiet ? 0 : verbose === 0 ? 1 : verbose === 1 ? 2 : 3,
    noLock: !flags.lock,
    retryLockMs: flags.retryLock ?? 0,
    cache,
    access,
    cleanupCache: flags.cleanupCache === true,
    progressFps: progressFps(env),
    repository: () => ({
      ...resolveRepositoryOptions(flags, "", io),
      keyHint,
      compression,
      packSizeBytes,
      extraVerify: flags.extraVerify,
      ...access,
    }),
  };
}

/** Commander's collector for flags that may be repeated. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/**
 * The same for a flag that shares its values with another: what is said first of each takes away what the other one said,
 * as in restic.
 */
export function collectForOne(): typeof collect {
  let isFirst = true;
  return (value, previous) => {
    const before = isFirst ? undefined : previous;
    isFirst = false;
    return collect(value, before);
  };
}

/** A whole number that is not negative. @throws {UsageError} naming where it stood */
export function parseCount(where: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalidArgument(where, text, "wanted a whole number");
  return Number(text);
}

function parseCompression(where: string, text: string): CompressionMode {
  const mode = COMPRESSION_MODES.find((one) => one === text);
  if (!mode) throw invalidArgument(where, text, `wanted one of ${COMPRESSION_MODES.join("|")}`);
  return mode;
}

function compressionFromEnvironment(env: Environment): CompressionMode | undefined {
  const found = readEnvironment(env, "COMPRESSION");
  return found && parseCompression(found.name, found.value);
}

function resolvePackSize(flags: GlobalFlags, env: Environment): number | undefined {
  const found = readEnvironment(env, "PACK_SIZE");
  const mib = flags.packSize ?? (found && parseCount(found.name, found.value));
  if (!mib) return undefined;
  if (mib < MIN_PACK_MIB) throw new UsageError(`pack size smaller than minimum of ${MIN_PACK_MIB} MiB`);
  if (mib > MAX_PACK_MIB) throw new UsageError(`pack size larger than limit of ${MAX_PACK_MIB} MiB`);
  return mib * 1024 * 1024;
}

/** Where the cache of far repositories lies, which restic shares. */
function resolveCacheOptions(flags: GlobalFlags, env: Environment): CacheOptions {
  const home = env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache");
  const limit = readEnvironment(env, "CACHE_LIMIT");
  return {
    folder: flags.cacheDir ?? readEnvironment(env, "CACHE_DIR")?.value ?? join(home, "restic"),
    keepsData: flags.cacheData ?? readEnvironment(env, "CACHE_DATA") !== undefined,
    maxBytes: flags.cacheLimit ?? (limit && parseSize(limit.name, limit.value)),
  };
}

/** "rest.connections=8" to a map; names in lower case, as restic has them. */
function parseExtendedOptions(options: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const option of options) {
    const [, key, value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
    const name = (key ?? "").trim().toLowerCase();
    if (name === "") throw new UsageError(`invalid extended option "${option}": the key is empty`);
    const text = (value ?? "").trim();
    if (map.has(name) && map.get(name) !== text)
      throw new UsageError(`invalid extended option "${option}": "${name}" is given twice`);
    map.set(name, text);
  }
  return map;
}

function progressFps(env: Environment): number | undefined {
  const found = readEnvironment(env, "PROGRESS_FPS");
  const fps = Number(found?.value);
  if (!found || Number.isNaN(fps) || fps <= 0) return undefined;
  return Math.min(fps, MAX_FPS);
}
