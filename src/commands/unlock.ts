import type { Session } from "./session.js";

export interface UnlockOptions {
  /** Also those that somebody may be holding. */
  readonly removeAll: boolean;
}

/** Removes the locks that nobody can be holding, or all. @returns how many */
export function runUnlock(session: Session, options: UnlockOptions): Promise<number> {
  return session.repository.unlock({ removeAll: options.removeAll, signal: session.signal });
}
