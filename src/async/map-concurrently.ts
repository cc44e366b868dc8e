import { throwIfAborted } from "../errors.js";
import { Pending } from "./pending.js";

/**
 * Runs `work` over the items, at most `limit` at a time, taking a new item only when a place is free: the
 * source is never read ahead of the work. The first failure (the signal and the source's own included) stops
 * the taking, waits for what is under way, and is thrown.
 */
export async function forEachConcurrently<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const pending = new Pending(limit);
  try {
    for await (const item of items) {
      throwIfAborted(signal);
      const room = pending.add(work(item));
      if (room) await room;
    }
  } catch (error) {
    pending.fail(error);
  }
  await pending.drain();
}

/** The same, keeping what `work` returns, in the order of the items. */
export async function mapConcurrently<T, R>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  const numbered = Array.from(items, (item, position) => ({ item, position }));
  await forEachConcurrently(
    numbered,
    limit,
    async ({ item, position }) => {
      results[position] = await work(item);
    },
    signal,
  );
  return results;
}
