/** What a command has at hand while it runs, and how it is run. */

import type { Command } from "commander";
import type { AheadNeeds } from "../commands/ask-ahead.js";
import type { RepositoryOptions, Session, SessionEvent } from "../commands/session.js";
import { messageOf } from "../errors.js";
import { formatGoDuration } from "../format/go-duration.js";
import { type GlobalFlags, type GlobalOptions, resolveGlobalOptions } from "./global-options.js";
import type { Io } from "./output.js";
import { ProgressRenderer } from "./progress-renderer.js";

export interface SessionNeeds {
  readonly lock: "none" | "shared" | "exclusive";
  /** See `SessionOptions`. */
  readonly ahead?: AheadNeeds;
  /** When the lock is needed although `--no-lock` was given: the command writes. False when left out. */
  readonly lockAlways?: boolean;
  /** See `SessionOptions`. */
  readonly servesOn?: boolean;
  /** Another repository than the one of the global options. */
  readonly repository?: RepositoryOptions;
  /** "temporary" where what is read must be the repository itself; "kept" when left out. */
  readonly cache?: "kept" | "temporary";
  /** Whether the line "repository ... opened" is shown; true when left out. */
  readonly announce?: boolean;
}

export class CommandContext {
  readonly io: Io;
  readonly global: GlobalOptions;

  constructor(io: Io, global: GlobalOptions) {
    this.io = io;
    this.global = global;
  }

  get signal(): AbortSignal {
    return this.io.signal;
  }

  /** Opens the repository with the lock that the command needs, and closes it on every way out. */
  async withSession<T>(needs: SessionNeeds, work: (session: Session) => Promise<T>): Promise<T> {
    await this.#cleanCaches();
    const unlocked = this.global.noLock && !needs.lockAlways;
    const { withSession } = await import("../commands/session.js");
    const repository = needs.repository ?? this.global.repository();
    const open = (repository: RepositoryOptions) =>
      withSession(
        repository,
        {
          lock: unlocked ? "none" : needs.lock,
          lockHint: needs.lockAlways ? undefined : "With --no-lock, the repository can be read as it is",
          ...(needs.ahead ? { ahead: needs.ahead } : {}),
          servesOn: needs.servesOn ?? false,
          retryLockMs: this.global.retryLockMs,
          signal: this.signal,
          on: (event) => this.#showSessionEvent(event, needs.announce ?? true),
        },
        work,
      );
    if (needs.cache !== "temporary") return open(repository);
    const { withTemporaryCache } = await import("../commands/temporary-cache.js");
    const watch = {
      onMade: (folder: string) => this.print(`using temporary cache in ${folder}`),
      onProblem: (message: string) => this.warn(message),
    };
    return withTemporaryCache(repository, watch, open);
  }

  /** A line that `--quiet` silences, and `--json` too. */
  print(text = ""): void {
    this.verbose(1, text);
  }

  /** A line that is only shown from a verbosity on: 1 as usual, 2 for `-v`, 3 for `-vv`. Never with `--json`. */
  verbose(level: 1 | 2 | 3, text: string): void {
    if (!this.global.json && this.global.verbosity >= level) this.io.stdout.line(text);
  }

  /** A JSON value on a line of its own. Whoever writes many awaits the result. */
  json(value: unknown): Promise<void> | undefined {
    return this.io.stdout.json(value);
  }

  /** What is wrong with the repository: a line on stderr, with `--json` an object there. */
  problem(text: string): void {
    if (this.global.json) this.io.stderr.json({ message_type: "error", message: text });
    else this.warn(text);
  }

  /** A line on stderr. */
  warn(text: string): void {
    this.io.stderr.line(text);
  }

  /**
   * Shows progress until it is stopped; see `ProgressRenderer` for when and where.
   *
   * @param lines what a terminal shows, first line first, given the seconds since the start
   * @param status what `--json` prints; nothing when it is left out, or returns `undefined`
   */
  startProgress(
    lines: (elapsedSeconds: number) => readonly string[],
    status?: (elapsedSeconds: number) => unknown,
  ): ProgressRenderer {
    return new ProgressRenderer(this.io, this.global, lines, status);
  }

  /** What `--cleanup-cache` asks for. The cache is never worth a failure. */
  async #cleanCaches(): Promise<void> {
    const { cache, cleanupCache } = this.global;
    if (!cache || !cleanupCache) return;
    try {
      const { listCaches, removeOldCaches } = await import("../commands/cache.js");
      const removed = await removeOldCaches(await listCaches(cache.folder));
      if (removed.length > 0) this.print(`removed ${removed.length} old cache dirs from ${cache.folder}`);
    } catch (error) {
      this.warn(`Cannot clean the caches in ${cache.folder}: ${messageOf(error)}`);
    }
  }

  /** In plain words also with `--json`, as restic does: it is no error yet, and may take a quarter of an hour. */
  showRetry(event: Extract<SessionEvent, { type: "retrying" | "recovered" }>): void {
    if (event.type === "recovered") this.warn(`${event.what} succeeded after ${event.attempts} tries`);
    else this.warn(`${messageOf(event.error)}; trying again in ${(event.delayMs / 1000).toFixed(1)} s`);
  }

  #showSessionEvent(event: SessionEvent, announce: boolean): void {
    if (event.type === "opened") {
      if (!announce || !this.io.stdout.isTTY) return;
      const { config } = event.repository;
      const compression = config.version === 2 ? `, compression level ${event.compression}` : "";
      this.print(`repository ${config.id.slice(0, 8)} opened (version ${config.version}${compression})`);
      return;
    }
    if (event.type === "engine-problem") {
      this.warn(`Warning: ${event.reason}`);
      return;
    }
    if (event.type === "cache-problem") {
      this.warn(`unable to open cache: ${messageOf(event.error)}`);
      return;
    }
    if (event.type === "lock-left") {
      this.problem(`error while unlocking: ${messageOf(event.error)}; \`yore unlock\` removes the lock`);
      return;
    }
    if (event.type === "not-settled") {
      this.problem(`${messageOf(event.error)}; what was removed may come back with a loss of power`);
      return;
    }
    if (event.type === "index-problem") {
      this.problem(`${event.error.message}; run \`yore check\``);
      return;
    }
    if (event.type === "retrying" || event.type === "recovered") {
      this.showRetry(event);
      return;
    }
    const wait = formatGoDuration(this.global.retryLockMs);
    if (!this.global.json) this.warn(`repo already locked, waiting up to ${wait} for the lock`);
  }
}

const exitStatus = new WeakMap<Io, number>();

/** What the command that ran on this `io` has returned; 0 when it returned nothing. */
export function exitStatusOf(io: Io): number {
  return exitStatus.get(io) ?? 0;
}

/**
 * Makes the function that commander calls. The command gets its context, its arguments and its own flags; what it
 * returns is the exit code.
 */
export function action<Flags = Record<string, never>>(
  io: Io,
  run: (context: CommandContext, args: readonly string[], flags: Flags) => Promise<number | undefined>,
): (...parameters: unknown[]) => Promise<void> {
  return async (...parameters) => {
    const command = parameters.at(-1) as Command;
    const context = new CommandContext(io, resolveGlobalOptions(command.optsWithGlobals<GlobalFlags>(), io));
    exitStatus.set(io, (await run(context, command.args, command.opts<Flags & object>())) ?? 0);
  };
}
