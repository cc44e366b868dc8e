import type { ScannedEntry } from "./file-record.js";
import type { RawPath } from "./raw-path.js";
import type { Scanner, ScanOptions } from "./scanner.js";

/** A hop to the thread pool costs as much as looking at ten; more than this would only take memory, 64 KiB and more. */
const PATHS_IN_A_HOP = 256;

/**
 * Looks at the paths of the items, many in one hop of the scanner, before their turn comes.
 *
 * @param pathOf `undefined` for an item that is not to be looked at
 * @returns each item in its order, with what was found where it was looked at
 */
export async function* lookAhead<T>(
  scanner: Scanner,
  items: readonly T[],
  pathOf: (item: T) => RawPath | undefined,
  options?: ScanOptions,
): AsyncGenerator<readonly [T, ScannedEntry | undefined]> {
  for (let from = 0; from < items.length; from += PATHS_IN_A_HOP) {
    const some = items.slice(from, from + PATHS_IN_A_HOP).map((item) => ({ item, path: pathOf(item) }));
    const paths = some.map(({ path }) => path).filter((path) => path !== undefined);
    const entries = paths.length > 0 ? await scanner.statPaths(paths, options) : [];
    let next = 0;
    for (const { item, path } of some) yield [item, path === undefined ? undefined : entries[next++]];
  }
}
