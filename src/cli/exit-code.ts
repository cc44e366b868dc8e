/**
 * The exit codes, which scripts rely on; restic's, number for number. A number is never reused for something else.
 *
 * 2 is what restic's runtime returns when it crashes; yore never returns it.
 */

import { messageOf, YoreError } from "../errors.js";

export const EXIT_SUCCESS = 0;
/** Anything that has no code of its own; also: `check` found problems. */
export const EXIT_FAILURE = 1;
/** The work was done, but not all of it: some files could not be read, some snapshots not removed. */
export const EXIT_INCOMPLETE = 3;
export const EXIT_NO_REPOSITORY = 10;
export const EXIT_LOCKED = 11;
export const EXIT_WRONG_PASSWORD = 12;
/** Stopped by SIGINT or SIGTERM. */
export const EXIT_INTERRUPTED = 130;
/** Whoever read our output has gone: what a shell reports for a program that SIGPIPE ended. */
export const EXIT_BROKEN_PIPE = 141;

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof YoreError)) return EXIT_FAILURE;
  switch (error.code) {
    case "no-repository":
      return EXIT_NO_REPOSITORY;
    case "locked":
      return EXIT_LOCKED;
    case "wrong-password":
      return EXIT_WRONG_PASSWORD;
    case "interrupted":
      return EXIT_INTERRUPTED;
    case "incomplete":
      return EXIT_INCOMPLETE;
    default:
      return EXIT_FAILURE;
  }
}

/** The sentence for people: what happened, and below it what they can do. */
export function failureText(error: unknown): string {
  const hint = error instanceof YoreError ? error.hint : undefined;
  return hint ? `${messageOf(error)}\n${hint}` : messageOf(error);
}
