import type { Id } from "../bytes/id.js";
import type { DirectoryReader, ListedDirectory, SameDirectory } from "./directory-reader.js";
import { joinRaw } from "./raw-path.js";
import type { Place } from "./save-queue.js";

/** What is known of a directory before it is walked. */
export type ReadDirectory = SameDirectory | ListedDirectory;

/** Directories that are being read: few at first, one more for each that is the same, half for each that is not. */
const MIN_READS = 4;
const MAX_READS = 64;
/** Directories that are as in the parent snapshot and that the walk has not come to: some 500 bytes each. */
const MAX_SAME = 8192;
/** The others are large: of them, all is kept that is known of each entry. */
const MAX_LISTED = 16;
/** Siblings that are read before their turn comes, whatever else there is. */
const SIBLINGS_AHEAD = 4;

interface Subdirectory {
  /** Raw bytes as a Latin-1 string. */
  readonly name: string;
  /** In the parent snapshot. */
  readonly tree: Id | undefined;
}

/** A directory that is being read, or was. */
export class DirectoryAhead {
  readonly place: Place;
  readonly found: Promise<ReadDirectory>;
  state: "reading" | "same" | "listed" | "failed" = "reading";
  /** What is in it, as soon as that is known, in the order in which the walk comes to it. */
  subdirectories: readonly Subdirectory[] = [];
  /** Of the subdirectories the first ones; those that the walk has come to are left out. */
  readonly started: (DirectoryAhead | undefined)[] = [];
  /** How many subdirectories the walk has come to. */
  taken = 0;
  /** Nothing below it is left to be started. */
  isClosed = false;
  /** So many of the started ones, the first, are closed or taken: a directory may have 100,000. */
  closed = 0;

  constructor(place: Place, found: Promise<ReadDirectory>) {
    this.place = place;
    this.found = found;
  }
}

/**
 * Reads directories before the walk comes to them, those first that it comes to first. A directory that is as in the
 * parent snapshot tells from its tree what is below it, so that many are read at a time however few stand side by side:
 * a backup of 79,000 files of which none has changed takes 1.0 s instead of 1.45 s.
 *
 * Memory: 4 MiB for directories that are the same, and what is known of the entries of some 20 others.
 */
export class DirectoryReadAhead {
  readonly #reader: Pick<DirectoryReader, "read">;
  /** The directories that the walk is in, from the top. */
  readonly #walking: DirectoryAhead[] = [];
  readonly #count = { reading: 0, same: 0, listed: 0, failed: 0 };
  #maxReads = MIN_READS;

  constructor(reader: Pick<DirectoryReader, "read">) {
    this.#reader = reader;
  }

  /** Begins to read a directory. @param tree of it in the parent snapshot */
  start(place: Place, tree: Id | undefined): DirectoryAhead {
    const ahead = new DirectoryAhead(place, this.#reader.read(place, tree));
    this.#count.reading++;
    ahead.found.then(
      (found) => {
        const isSame = "directories" in found;
        if (isSame) ahead.subdirectories = found.directories;
        this.#maxReads = isSame
          ? Math.min(MAX_READS, this.#maxReads + 1)
          : Math.max(MIN_READS, this.#maxReads / 2);
        this.#become(ahead, isSame ? "same" : "listed");
        this.#fill();
      },
      // What it was is told when the walk comes to it, which a stopped run never does.
      () => this.#become(ahead, "failed"),
    );
    return ahead;
  }

  /**
   * The walk comes to a directory, and stays in it until `leave`.
   *
   * @throws the system's error when it cannot be listed
   */
  async enter(ahead: DirectoryAhead): Promise<ReadDirectory> {
    this.#walking.push(ahead);
    try {
      return await ahead.found;
    } finally {
      this.#count[ahead.state]--;
      this.#fill();
    }
  }

  leave(): void {
    this.#walking.pop();
  }

  /** Says what is in a directory whose tree does not tell, when the walk is in it. */
  expect(ahead: DirectoryAhead, subdirectories: readonly Subdirectory[]): void {
    ahead.subdirectories = subdirectories;
    ahead.isClosed = false;
    this.#fill();
  }

  /** The next subdirectory of a directory that the walk is in. */
  next(ahead: DirectoryAhead): DirectoryAhead {
    const number = ahead.taken++;
    const child = ahead.started[number] ?? this.#startNext(ahead);
    // What was read is large at times, and not to be kept until the last sibling is walked.
    ahead.started[number] = undefined;
    return child;
  }

  #become(ahead: DirectoryAhead, state: "same" | "listed" | "failed"): void {
    this.#count[ahead.state]--;
    this.#count[state]++;
    ahead.state = state;
  }

  #fill(): void {
    const inside = this.#walking.at(-1);
    while (inside && isOpen(inside) && inside.started.length < inside.taken + SIBLINGS_AHEAD)
      this.#startNext(inside);
    const count = this.#count;
    while (count.reading < this.#maxReads && count.same < MAX_SAME && count.listed < MAX_LISTED) {
      const open = this.#nearestOpen();
      if (!open) return;
      this.#startNext(open);
    }
  }

  /** The directory whose next subdirectory is the first that the walk comes to and that is not read yet. */
  #nearestOpen(): DirectoryAhead | undefined {
    for (let level = this.#walking.length - 1; level >= 0; level--) {
      const open = firstOpen(this.#walking[level]!);
      if (open) return open;
    }
    return undefined;
  }

  #startNext(ahead: DirectoryAhead): DirectoryAhead {
    const { name, tree } = ahead.subdirectories[ahead.started.length]!;
    const child = this.start(placeIn(ahead.place, name), tree);
    ahead.started.push(child);
    return child;
  }
}

export function placeIn(directory: Place, name: string): Place {
  return { inSnapshot: joinRaw(directory.inSnapshot, name), path: joinRaw(directory.path, name), name };
}

function isOpen(ahead: DirectoryAhead): boolean {
  return ahead.started.length < ahead.subdirectories.length;
}

/** Only what has a tree in the parent snapshot: what is new is large, and read no sooner than it must be. */
function firstOpen(ahead: DirectoryAhead): DirectoryAhead | undefined {
  if (ahead.isClosed) return undefined;
  let isClosed = ahead.state !== "reading";
  ahead.closed = Math.max(ahead.closed, ahead.taken);
  for (let i = ahead.closed; i < ahead.started.length; i++) {
    const child = ahead.started[i]!;
    const open = firstOpen(child);
    if (open) return open;
    if (!child.isClosed) isClosed = false;
    else if (i === ahead.closed) ahead.closed++;
  }
  if (isOpen(ahead)) return ahead.subdirectories[ahead.started.length]!.tree ? ahead : undefined;
  ahead.isClosed = isClosed;
  return undefined;
}
