import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type DirectoryAhead,
  DirectoryReadAhead,
  type ReadDirectory,
} from "../../src/archiver/directory-read-ahead.js";
import { PreviousTree } from "../../src/archiver/previous-tree.js";
import type { RawPath } from "../../src/archiver/raw-path.js";
import type { Place } from "../../src/archiver/save-queue.js";
import type { Id } from "../../src/bytes/id.js";
import { randomNumbers } from "../support/random.js";

const TREE = new Uint8Array(32) as Id;
const MAX_DEPTH = 12;

/** What a directory is found to be: as its tree says, changed, new (it has no tree), or not to be listed. */
type Kind = "same" | "changed" | "new" | "failing";

interface Folder {
  readonly name: string;
  readonly kind: Kind;
  readonly below: readonly Folder[];
}

const folder = (i: number, kind: Kind, below: readonly Folder[]): Folder => ({
  name: `${i}`.padStart(3, "0"),
  kind,
  below,
});

/** Folders made by chance, about `count` of them. */
function makeFolders(random: (below: number) => number, count: number, kinds: readonly Kind[]): Folder {
  let made = 0;
  const make = (i: number, depth: number, parent: Kind): Folder => {
    made++;
    const drawn = kinds[random(kinds.length)]!;
    // Where something is new, the directory around it has changed.
    const kind = parent === "new" ? "new" : drawn === "new" && parent === "same" ? "changed" : drawn;
    const size = kind === "failing" || depth === MAX_DEPTH || made > count ? 0 : random(depth === 0 ? 60 : 7);
    const below = Array.from({ length: size }, (_, child) => make(child, depth + 1, kind));
    return folder(i, kind, below);
  };
  return folder(
    0,
    "changed",
    Array.from({ length: 20 }, (_, i) => make(i, 0, "changed")),
  );
}

/** Walks folders as a backup does, and counts what goes on. */
class Walk {
  readonly #random: (below: number) => number;
  readonly #ahead: DirectoryReadAhead;
  readonly #folders = new Map<string, Folder>();
  readonly #order = new Map<string, number>();
  /** The directories that the walk is in. */
  readonly #inside: string[] = [];
  /** Directories that are known of and not read, by their place in the order of the walk. */
  readonly #known = new Map<string, number>();
  readonly walked: string[] = [];
  readonly read: string[] = [];
  /** Reads ahead of one that was known of, and nearer. */
  outOfOrder = 0;
  maxReading = 0;
  #reading = 0;
  /** Changed and new ones that are read and not walked. */
  maxHeld = 0;
  #held = 0;

  constructor(random: (below: number) => number) {
    this.#random = random;
    this.#ahead = new DirectoryReadAhead({ read: (place, tree) => this.#read(place, tree) });
  }

  async run(root: Folder): Promise<void> {
    this.#index("/", root);
    const path = "/" as RawPath;
    await this.#walk(this.#ahead.start({ inSnapshot: path, path, name: "" }, TREE));
  }

  /** In the order of a walk. */
  get expected(): string[] {
    return [...this.#folders.keys()];
  }

  #index(path: string, of: Folder): void {
    this.#order.set(path, this.#order.size);
    this.#folders.set(path, of);
    for (const child of of.below) this.#index(join(path, child.name), child);
  }

  async #read({ path }: Place, tree: Id | undefined): Promise<ReadDirectory> {
    const { kind, below } = this.#folders.get(path)!;
    expect(tree === undefined).toBe(kind === "new");
    this.read.push(path);
    this.#known.delete(path);
    const isInside = this.#inside.at(-1) === dirname(path);
    const order = this.#order.get(path)!;
    if (!isInside && [...this.#known.values()].some((other) => other < order)) this.outOfOrder++;

    this.maxReading = Math.max(this.maxReading, ++this.#reading);
    for (let turns = this.#random(5); turns >= 0; turns--)
      await new Promise((resolve) => setImmediate(resolve));
    this.#reading--;
    if (kind === "failing") throw new Error("it cannot be listed");
    if (kind === "same") {
      // Whoever asked knows it some moments later.
      setImmediate(() => this.#learn(path, below));
      const directories = below.map((child) => ({ name: child.name, tree: TREE }));
      return { files: 0, bytes: 0, directories, tree: TREE };
    }
    this.maxHeld = Math.max(this.maxHeld, ++this.#held);
    return { entries: [], previous: PreviousTree.EMPTY };
  }

  #learn(path: string, below: readonly Folder[]): void {
    for (const { name } of below) {
      const child = join(path, name);
      if (!this.read.includes(child)) this.#known.set(child, this.#order.get(child)!);
    }
  }

  async #walk(ahead: DirectoryAhead): Promise<void> {
    const { path } = ahead.place;
    const { kind, below } = this.#folders.get(path)!;
    this.walked.push(path);
    this.#inside.push(path);
    try {
      const found = this.#ahead.enter(ahead);
      if (kind === "failing") return await expect(found).rejects.toThrow("cannot be listed");
      await found;
      if (kind !== "same") {
        this.#held--;
        this.#ahead.expect(
          ahead,
          below.map((child) => ({ name: child.name, tree: child.kind === "new" ? undefined : TREE })),
        );
      }
      for (const _ of below) await this.#walk(this.#ahead.next(ahead));
    } finally {
      this.#inside.pop();
      this.#ahead.leave();
    }
  }
}

describe("DirectoryReadAhead", () => {
  it.each([
    { where: "nothing has changed", kinds: ["same"], maxReading: 64 },
    { where: "everything has changed", kinds: ["changed"], maxReading: 4 },
    { where: "everything is new", kinds: ["new"], maxReading: 4 },
    {
      where: "some have changed, are new, or fail",
      kinds: ["same", "same", "same", "same", "changed", "new", "failing"],
      maxReading: 64,
    },
  ] as const)("reads each directory once, in bounds, the nearest first, where $where", async (example) => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = randomNumbers(seed);
      const walk = new Walk(random);
      await walk.run(makeFolders(random, 1500, example.kinds));
      expect(walk.walked).toEqual(walk.expected);
      expect(walk.read.toSorted()).toEqual(walk.expected.toSorted());
      expect(walk.outOfOrder).toBe(0);
      // Four siblings are read besides, where the walk is and where it was just now.
      expect(walk.maxReading).toBeLessThanOrEqual(example.maxReading + 8);
      // Four siblings wait in each directory that the walk is in, whatever else there is.
      expect(walk.maxHeld).toBeLessThanOrEqual(16 + (MAX_DEPTH + 1) * 4);
    }
  });

  it("keeps many under way where no directory has many", async () => {
    const make = (depth: number): Folder[] =>
      depth === 0 ? [] : [0, 1].map((i) => folder(i, "same", make(depth - 1)));
    const walk = new Walk(randomNumbers(7));
    await walk.run(folder(0, "same", make(9)));
    expect(walk.walked).toEqual(walk.expected);
    expect(walk.maxReading).toBeGreaterThanOrEqual(60);
  });
});
