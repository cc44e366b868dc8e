import type { Backend } from "../backend/backend.js";
import { YoreError } from "../errors.js";

/**
 * For listings without a file where some were before: to a backend, a repository whose disk was unmounted is an empty one.
 *
 * @param what was listed, for people
 * @throws {YoreError} `backend` when the repository is not there any more
 */
export async function confirmThere(backend: Backend, what: string): Promise<void> {
  for await (const _ of backend.list("config")) return;
  const message = `Cannot list the ${what} at "${backend.location}": the repository is not there any more`;
  throw new YoreError("backend", message);
}
