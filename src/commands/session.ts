/**
 * A session is a repository that is open for one command: backend, engine, keys and, where the command needs one, a
 * lock. It is closed, and the lock released, on every way out.
 */

import { setMaxListeners } from "node:events";
import { untilInterrupted } from "../async/deadline.js";
import type { Backend } from "../backend/backend.js";
import { DiskCache } from "../backend/disk-cache.js";
import { DiskCacheBackend } from "../backend/disk-cache-backend.js";
import { ListAheadBackend } from "../backend/list-ahead-backend.js";
import { parseLocation } from "../backend/location.js";
import { type OpenBackendOptions, openBackend, type TransportOptions } from "../backend/open-backend.js";
import type { RetryEvent } from "../backend/retry-backend.js";
import type { Engine } from "../engine/engine.js";
import { engineProblem, loadEngine } from "../engine/load-engine.js";
import { systemCodeOf, UsageError, YoreError } from "../errors.js";
import { localZoneMinutes } from "../format/timestamp.js";
import { loadAddon } from "../native/addon.js";
import type { CompressionMode } from "../repository/compression.js";
import { findRepository } from "../repository/find-repository.js";
import type { RepositoryLock } from "../repository/lock.js";
import type { Password } from "../repository/password.js";
import { Repository } from "../repository/repository.js";
import { type AheadNeeds, AskAhead } from "./ask-ahead.js";

/** What a command can be told about the repository, whoever asks: the command line or a program. */
export interface RepositoryOptions {
  /** Where it lies: "/srv/repo", "rest:https://...". */
  readonly location: string;
  /** Asked for the password; asked again after a wrong one as long as `attempts` allow. */
  readonly password: PasswordSource;
  /** Hex prefix of the key that is tried first. */
  readonly keyHint?: string | undefined;
  readonly compression?: CompressionMode | undefined;
  readonly packSizeBytes?: number | undefined;
  /** Whether what was sealed is unsealed again and compared before it is saved; true when left out. */
  readonly extraVerify?: boolean | undefined;
  /** "rest.connections" to "8" and the like. */
  readonly backendOptions?: ReadonlyMap<string, string> | undefined;
  readonly transport?: TransportOptions | undefined;
  /** For repositories that are far away; none when left out. */
  readonly cache?: CacheOptions | undefined;
}

export interface CacheOptions {
  /** Holds the caches of all repositories, restic's among them. */
  readonly folder: string;
  /** Whether parts of packs with file content are kept, too. */
  readonly keepsData: boolean;
  /** Bytes of packs and parts; no limit when left out. */
  readonly maxBytes?: number | undefined;
}

export type { Password, TransportOptions };

export interface PasswordSource {
  /** How often a wrong one may be followed by another: 3 for a person, 1 for a file. */
  readonly attempts: number;
  /** The user said that there is none; otherwise an empty password is refused. */
  readonly allowEmpty?: boolean;
  /** Asking reads standard input, which can then not be what is backed up. */
  readonly usesStdin?: boolean;
  /** @param attempt counted from 0; after the first, the one before was wrong */
  ask(attempt: number): Promise<Password>;
}

/** A password that is known already. */
export function knownPassword(password: Password): PasswordSource {
  return { attempts: 1, ask: () => Promise.resolve(password) };
}

/** The repository has an empty password, and the user knows it. */
export const NO_PASSWORD: PasswordSource = { ...knownPassword(""), allowEmpty: true };

/** Of repositories that can be read all the same. */
const UNWRITABLE = new Set(["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"]);

export type LockMode = "none" | "shared" | "exclusive";

/** What the end of a session could not do: remove the lock, or see to it that no loss of power brings back what was removed last. */
export type LeftBehind = { readonly type: "lock-left" | "not-settled"; readonly error: unknown };

export type SessionEvent =
  | { readonly type: "opened"; readonly repository: Repository; readonly compression: CompressionMode }
  /** The portable engine does the work although nobody asked for it. */
  | { readonly type: "engine-problem"; readonly reason: string }
  /** There is no cache, and all is fetched. */
  | { readonly type: "cache-problem"; readonly error: unknown }
  | { readonly type: "waiting-for-lock"; readonly reason: string }
  /** What only this index file lists cannot be found. */
  | { readonly type: "index-problem"; readonly error: YoreError }
  | LeftBehind
  /** The way to the repository is troubled, or is so no more. */
  | RetryEvent;

export interface SessionOptions {
  readonly lock: LockMode;
  /** What a user who only reads can do where the lock cannot be written. */
  readonly lockHint?: string | undefined;
  /** What the work will need, asked for while the key is derived and the lock settles; nothing when left out. */
  readonly ahead?: AheadNeeds;
  /** How long to keep trying for the lock; 0 gives up at once. */
  readonly retryLockMs?: number;
  /** Ends the command. What a far repository was asked for is waited for no longer then. */
  readonly signal?: AbortSignal;
  /** Others read through the session, also when the signal has fired, until they are done. False when left out. */
  readonly servesOn?: boolean;
  readonly on?: (event: SessionEvent) => void;
}

export class Session {
  readonly repository: Repository;
  /** Fires when the command must stop: it was interrupted, or its lock was lost. */
  readonly signal: AbortSignal;
  readonly #backend: Backend;
  readonly #ahead: AskAhead;
  readonly #on: ((event: SessionEvent) => void) | undefined;

  constructor(
    repository: Repository,
    backend: Backend,
    signal: AbortSignal,
    ahead: AskAhead,
    on?: (event: SessionEvent) => void,
  ) {
    this.repository = repository;
    this.signal = signal;
    this.#backend = backend;
    this.#ahead = ahead;
    this.#on = on;
  }

  get engine(): Engine {
    return this.repository.engine;
  }

  /** Loads the index for work that goes on with what can be found, and tells what cannot: without a word, less would pass for all. */
  async loadIndex(): Promise<void> {
    await this.repository.loadIndex({ signal: this.signal });
    for (const { error } of this.repository.indexProblems) this.#on?.({ type: "index-problem", error });
  }

  /**
   * Releases the lock and lets go of the repository.
   *
   * @param onLeft told what could not be done, which is thrown when there is nobody to be told; the rest is done all the same
   */
  async close(onLeft?: (left: LeftBehind) => void): Promise<void> {
    this.#ahead.stop();
    const left: LeftBehind[] = [];
    await this.repository.close().catch((error: unknown) => left.push({ type: "lock-left", error }));
    await this.#backend.close().catch((error: unknown) => left.push({ type: "not-settled", error }));
    if (left.length > 0 && !onLeft) throw left[0]!.error;
    for (const one of left) onLeft!(one);
  }
}

/**
 * Opens the repository, works with it and closes it again, whatever happens.
 *
 * @throws {YoreError} `no-repository`, `wrong-password`, `locked`, and whatever the work throws
 */
export async function withSession<T>(
  repository: RepositoryOptions,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(repository, options);
  try {
    return await work(session);
  } finally {
    // What has come of the work, a failure too, counts for more than a lock that cannot be removed.
    await session.close((left) => options.on?.(left));
  }
}

/** @throws {YoreError} `no-repository`, `wrong-password`, `locked` */
export async function openSession(options: RepositoryOptions, how: SessionOptions): Promise<Session> {
  const signal = how.servesOn ? undefined : how.signal;
  // A disk that hangs answers no signal. Nothing has been changed yet, so nothing needs to be waited for.
  const place = await untilInterrupted(
    openRepositoryBackend(options, { signal, onRetry: how.on }),
    how.signal,
  );
  const isNear = parseLocation(options.location).scheme === "local";
  const lists = isNear ? undefined : new ListAheadBackend(place);
  const cached = lists && options.cache ? new DiskCacheBackend(lists) : undefined;
  const backend = cached ?? lists ?? place;
  const ahead = new AskAhead(how.ahead, lists, cached);
  try {
    const opening = openWithPassword(backend, options, how.signal, () => ahead.list(how.lock !== "none"));
    const repository = await untilInterrupted(opening, how.signal);
    if (cached)
      await useCache(cached, repository, options.cache!).catch((error: unknown) =>
        how.on?.({ type: "cache-problem", error }),
      );
    ahead.load(repository, how.lock !== "none");
    const reason = engineProblem();
    if (reason !== undefined) how.on?.({ type: "engine-problem", reason });
    how.on?.({ type: "opened", repository, compression: options.compression ?? "auto" });
    const lock = await takeLock(repository, how);
    try {
      // What is on its way may be long in coming.
      await untilInterrupted(ahead.finish(), how.signal);
    } catch (error) {
      await lock?.release().catch(() => {});
      throw error;
    }
    const signals = [how.signal, lock?.signal].filter((signal) => signal !== undefined);
    const stop = AbortSignal.any(signals);
    // Each of many loads under way listens to it; Node.js would take more than ten for a leak.
    setMaxListeners(0, stop);
    return new Session(repository, backend, stop, ahead, how.on);
  } catch (error) {
    ahead.stop();
    await backend.close();
    throw error;
  }
}

/** Without one everything works as well, only slower. @throws {YoreError} when its folder cannot be used */
async function useCache(
  backend: DiskCacheBackend,
  repository: Repository,
  options: CacheOptions,
): Promise<void> {
  const { folder, maxBytes, keepsData } = options;
  const cache = await DiskCache.open(folder, repository.config.id, { maxBytes });
  backend.use({ cache, keepsData, holdsTrees: (name) => repository.holdsTrees(name) });
}

/** Opens the place that the options name, with the options that are meant for its kind. @throws {UsageError} */
export function openRepositoryBackend(
  options: RepositoryOptions,
  watch: Pick<OpenBackendOptions, "signal" | "onRetry"> = {},
): Promise<Backend> {
  const location = parseLocation(options.location);
  const known = `${location.scheme}.connections`;
  for (const name of options.backendOptions?.keys() ?? []) {
    // Options of other kinds of backend are no mistake: one set of flags may serve several repositories.
    if (name.startsWith(`${location.scheme}.`) && name !== known)
      throw new UsageError(`option "${name}" is not known, or not supported yet`);
  }
  const connections = options.backendOptions?.get(known);
  if (connections !== undefined && !/^[1-9]\d{0,3}$/.test(connections))
    throw new UsageError(`invalid value "${connections}" for option ${location.scheme}.connections`);
  return openBackend(location, {
    localReads: loadAddon(),
    connections: connections === undefined ? undefined : Number(connections),
    transport: options.transport,
    ...watch,
  });
}

/** @param whileDeriving is called when the key is being derived, which takes other threads a tenth of a second and more */
async function openWithPassword(
  backend: Backend,
  options: RepositoryOptions,
  signal: AbortSignal | undefined,
  whileDeriving: () => void,
): Promise<Repository> {
  const engine = await loadEngine();
  const found = await findRepository(backend, engine, { keyHint: options.keyHint, signal });
  for (let attempt = 0; ; attempt++) {
    const password = await options.password.ask(attempt);
    try {
      const opening = Repository.openFound(found, {
        password,
        allowEmptyPassword: options.password.allowEmpty,
        compression: options.compression,
        packSizeBytes: options.packSizeBytes,
        extraVerify: options.extraVerify,
        signal,
      });
      whileDeriving();
      // Time zones are loaded when the first is asked for, which takes 10 to 20 ms: now, while other threads derive the key.
      setImmediate(() => localZoneMinutes(Date.now() / 1000));
      return await opening;
    } catch (error) {
      const wrong = error instanceof YoreError && error.code === "wrong-password";
      if (!wrong || attempt + 1 >= options.password.attempts) throw error;
    }
  }
}

async function takeLock(repository: Repository, how: SessionOptions): Promise<RepositoryLock | undefined> {
  if (how.lock === "none") return undefined;
  try {
    return await repository.lock({
      exclusive: how.lock === "exclusive",
      retryMs: how.retryLockMs ?? 0,
      signal: how.signal,
      onWaiting: (reason) => how.on?.({ type: "waiting-for-lock", reason }),
    });
  } catch (cause) {
    if (!(cause instanceof YoreError) || !UNWRITABLE.has(systemCodeOf(cause) ?? "")) throw cause;
    const hint = how.lockHint ?? cause.hint;
    throw new YoreError(cause.code, cause.message, { cause, ...(hint === undefined ? {} : { hint }) });
  }
}
