import { throwIfAborted } from "../errors.js";

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
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  try {
    for await (const item of items) {
      throwIfAborted(signal);
      const task: Promise<void> = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= limit) await Promise.race(running);
      if (failure) break;
    }
  } catch (error) {
    failure ??= { error };
  }
  await Promise.all(running);
  if (failure) throw failure.error;
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
