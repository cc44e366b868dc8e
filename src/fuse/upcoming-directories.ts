import type { NodeId } from "./filesystem.js";

/** So many directories that were not asked for may be passed over: a walker may leave some out. */
const MAX_PASSED_OVER = 8;
/** Of a directory with more subdirectories only the first are remembered. */
const MAX_UPCOMING = 4096;

/**
 * Guesses which directories a walk through a tree will list next. `find`, `du`, `grep -r`, `tar` and their like list a
 * directory, and then its subdirectories in the order of the listing, each with all that is below it.
 */
export class UpcomingDirectories {
  /** The next one last. */
  readonly #stack: NodeId[] = [];
  #streak = 0;
  #last: NodeId | undefined;
  /** How many of the last one's subdirectories are on the stack. */
  #ofLast = 0;

  /** How many directories in a row were guessed. */
  get streak(): number {
    return this.#streak;
  }

  /** A directory was listed, from its beginning on. @param directories the subdirectories that the walker has got */
  onListed(node: NodeId, directories: readonly NodeId[]): void {
    const from = this.#stack.length;
    let at = from - 1;
    while (at >= 0 && from - at <= MAX_PASSED_OVER && this.#stack[at] !== node) at--;
    if (at >= 0 && this.#stack[at] === node) {
      this.#stack.length = at;
      this.#streak++;
    } else {
      this.#stack.length = 0;
      this.#streak = 0;
    }
    this.#last = node;
    this.#ofLast = 0;
    this.onMore(node, directories);
  }

  /** The listing went on. */
  onMore(node: NodeId, directories: readonly NodeId[]): void {
    if (node !== this.#last) return;
    const added = directories.slice(0, MAX_UPCOMING - Math.min(this.#stack.length, MAX_UPCOMING)).reverse();
    // Behind those of the same directory that are there already: the walker lists it to its end first.
    this.#stack.splice(this.#stack.length - this.#ofLast, 0, ...added);
    this.#ofLast += added.length;
  }

  /**
   * The next ones, as far as they can be seen.
   *
   * @param directoriesOf the subdirectories of one that is to come; `undefined` where they are not known
   */
  next(count: number, directoriesOf: (node: NodeId) => readonly NodeId[] | undefined): NodeId[] {
    const found: NodeId[] = [];
    const below: NodeId[] = [];
    let left = this.#stack.length;
    while (found.length < count) {
      const node = below.pop() ?? this.#stack[--left];
      if (node === undefined) break;
      found.push(node);
      const directories = directoriesOf(node);
      if (!directories) break;
      for (let i = directories.length - 1; i >= 0; i--) below.push(directories[i]!);
    }
    return found;
  }
}
