import type { NodeId } from "../fuse/filesystem.js";

/** Directories that were listed lately: who reads in one of them may be walking. */
const RECENT = 16;
/** Directories in a row before a walk counts as one. */
const MIN_STREAK = 3;
/** So many directories later somebody must have asked for a file, or the walk only looks by now. */
const CREDIT = 8;

/**
 * Tells a walk that reads the files it comes by (`grep -r`, `tar`, `cp -r`) from one that only looks (`find`, `du`). Who is
 * given files before asking for them asks for none: so every few directories one is left alone, and whoever still reads asks
 * there.
 */
export class ReadingWalk {
  readonly #recent: NodeId[] = [];
  #last: NodeId | undefined;
  #streak = 0;
  #credit = 0;

  /** Whether the files of the next directory will be read, as far as can be told. */
  get readsNext(): boolean {
    return this.#credit > 0;
  }

  /** A directory was listed. @returns whether its files will be read, as far as can be told */
  onListed(directory: NodeId): boolean {
    if (this.#recent.length === RECENT) this.#recent.shift();
    this.#recent.push(directory);
    if (this.#credit === 0) return false;
    this.#credit--;
    return true;
  }

  /** A file of a directory was asked for. @returns whether that is part of a walk */
  onRead(directory: NodeId): boolean {
    if (directory !== this.#last) {
      this.#streak = this.#recent.includes(directory) ? this.#streak + 1 : 0;
      this.#last = directory;
    }
    const isWalk = this.#streak >= MIN_STREAK;
    if (isWalk) this.#credit = CREDIT;
    return isWalk;
  }
}
