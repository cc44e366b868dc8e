import { check } from "../maintenance/check.js";
import type { CheckOptions, CheckSummary, CheckWatch } from "../maintenance/check-options.js";
import type { Session } from "./session.js";

/** Checks the repository of a session, which should hold the exclusive lock. See `check`. */
export function runCheck(
  session: Session,
  options: CheckOptions,
  watch: CheckWatch = {},
): Promise<CheckSummary> {
  return check(session.repository, options, { ...watch, signal: session.signal });
}
