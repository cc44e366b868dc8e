/**
 * The one error family. Every error that yore throws on purpose is a `YoreError` with a stable `code`; the command
 * line turns the code into an exit code, the mount turns it into an errno, and nobody reads the message by machine.
 *
 * The sentence has one form: "Cannot <verb> <thing>: <reason>", no period at the end, values in quotes. Where programs that
 * drive restic look for its words all the same, the sentence is restic's.
 * Missing and damaged are different: `NotFoundError` means that there is nothing, `DamagedError` that what is there is wrong.
 */

/** Stable names of what went wrong; the exit codes of the command line follow from them. */
export type ErrorCode =
  | "usage"
  | "not-found"
  | "damaged"
  | "format"
  | "no-repository"
  | "locked"
  | "wrong-password"
  | "backend"
  | "no-space"
  | "timeout"
  | "interrupted"
  | "not-supported"
  | "incomplete"
  | "mount"
  | "native";

export class YoreError extends Error {
  readonly code: ErrorCode;
  /** What the user can do next, one sentence; shown below the message. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** The caller asked for something impossible: a wrong flag, a wrong argument, a wrong combination. */
export class UsageError extends YoreError {
  constructor(message: string, options?: { cause?: unknown; hint?: string }) {
    super("usage", message, options);
  }
}

/** Nothing is there: a file of the backend, a blob in the index, a snapshot, a path. */
export class NotFoundError extends YoreError {
  constructor(message: string, options?: { cause?: unknown; hint?: string }) {
    super("not-found", message, options);
  }
}

/** What is there is not what it should be: a wrong hash, a failed authentication, a file that is too short. */
export class DamagedError extends YoreError {
  constructor(message: string, options?: { cause?: unknown; hint?: string }) {
    super("damaged", message, options);
  }
}

/** Whether something could only not be read: that says nothing for or against it, and no reason to do without it. */
export function mayBeWhole(error: YoreError): boolean {
  return error.code === "backend" || error.code === "timeout";
}

/** Bytes or text that cannot be decoded. Says where, what was wanted and what was there. */
export class FormatError extends YoreError {
  constructor(message: string, options?: { cause?: unknown; hint?: string }) {
    super("format", message, options);
  }
}

/** Errors of Linux, by their numbers, that Node.js has no name for: "Unknown system error -122" is what it says. */
const UNNAMED: ReadonlyMap<number, readonly [code: string, words: string]> = new Map([
  [35, ["EDEADLK", "resource deadlock avoided"]],
  [37, ["ENOLCK", "no locks available"]],
  [52, ["EBADE", "invalid exchange"]],
  [67, ["ENOLINK", "link has been severed"]],
  [74, ["EBADMSG", "bad message, the file system is damaged"]],
  [116, ["ESTALE", "stale file handle"]],
  [117, ["EUCLEAN", "structure needs cleaning, the file system is damaged"]],
  [122, ["EDQUOT", "disk quota exceeded"]],
  [123, ["ENOMEDIUM", "no medium found"]],
  [126, ["ENOKEY", "required key not available"]],
  [127, ["EKEYEXPIRED", "key has expired"]],
  [128, ["EKEYREVOKED", "key has been revoked"]],
  [129, ["EKEYREJECTED", "key was rejected by service"]],
]);

const UNNAMED_TEXT = /Unknown system error -(\d+)/;

/** Code and words of a system error that Node.js has no name for; `undefined` for any other. @param errno positive */
export function unnamedError(errno: number): readonly [code: string, words: string] | undefined {
  return UNNAMED.get(errno);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [text, errno] = UNNAMED_TEXT.exec(error.message) ?? [];
  const [code, words] = UNNAMED.get(Number(errno)) ?? [];
  return code === undefined
    ? error.message
    : error.message.replace(`${text}: ${text}`, `${code}: ${words}`).replace(text!, words!);
}

/** The system's error code ("ENOENT", "ENOSPC") of anything that was thrown, if it has one, its causes included. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code;
    if (typeof code !== "string") continue;
    if (/^E[A-Z0-9]+$/.test(code)) return code;
    const unnamed = UNNAMED.get(Number(UNNAMED_TEXT.exec(code)?.[1]));
    if (unnamed) return unnamed[0];
  }
  return undefined;
}

/** Whether something was not written because there was no room for it: on the disk, or within a quota. */
export function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(systemCodeOf(error) ?? "");
}

/** Throws the `interrupted` error when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interruptedError(signal);
}

/** The error for work that was stopped by its caller. */
export function interruptedError(signal?: AbortSignal): YoreError {
  const reason: unknown = signal?.reason;
  return reason instanceof YoreError
    ? reason
    : new YoreError("interrupted", "Interrupted", { cause: reason });
}
