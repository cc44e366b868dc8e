import { awaitedLater } from "../async/awaited-later.js";
import type { Backend, FileInfo, FileType } from "./backend.js";
import { BackendWrapper } from "./backend-wrapper.js";

/** A listing that is older is made anew: no more than a mount may be behind its repository. */
export const AHEAD_MAX_AGE_MS = 5_000;

interface Listing {
  readonly begunAt: number;
  readonly files: Promise<readonly FileInfo[]>;
}

/**
 * A backend that can be asked for a listing before it is wanted, while something else takes its time: over a slow line
 * that saves whoever wants it the wait. The next `list` of that type takes it, once, unless it is older than five seconds.
 * Only for those to whom it does not matter that a listing began a little before they asked. It holds the listings that
 * nobody has taken yet.
 */
export class ListAheadBackend extends BackendWrapper {
  readonly #ahead = new Map<FileType, Listing>();

  /**
   * Begins to list.
   *
   * @param after the listing begins when this has resolved
   * @returns the listing, which the next `list` takes as well
   */
  listAhead(type: FileType, after?: Promise<unknown>): Promise<readonly FileInfo[]> {
    const files = awaitedLater(collect(this.inner, type, after));
    this.#ahead.set(type, { begunAt: Date.now(), files });
    return files;
  }

  /** The next `list` of these types asks again. */
  forget(types: readonly FileType[]): void {
    for (const type of types) this.#ahead.delete(type);
  }

  override async *list(type: FileType, signal?: AbortSignal): AsyncIterable<FileInfo> {
    const ahead = this.#ahead.get(type);
    this.#ahead.delete(type);
    // A clock that was set back says nothing about the age.
    const age = ahead ? Date.now() - ahead.begunAt : -1;
    if (ahead && age >= 0 && age <= AHEAD_MAX_AGE_MS) yield* await ahead.files;
    else yield* this.inner.list(type, signal);
  }
}

async function collect(
  backend: Backend,
  type: FileType,
  after: Promise<unknown> | undefined,
): Promise<FileInfo[]> {
  await after;
  const files: FileInfo[] = [];
  for await (const file of backend.list(type)) files.push(file);
  return files;
}
