import { AskAhead } from "../../src/commands/ask-ahead.js";
import { Session } from "../../src/commands/session.js";
import type { Repository } from "../../src/repository/repository.js";

/** A session of a repository that is open already, without a lock. */
export function sessionOf(repository: Repository): Session {
  const { signal } = new AbortController();
  return new Session(repository, repository.backend, signal, new AskAhead(undefined, undefined, undefined));
}
