import { bytesOfText } from "../bytes/utf8.js";

/** Files that one hop reads, one after the other; more of them at the same time are read by other threads. */
const FILES_A_HOP = 8;

/** Reads files by their paths, each followed by a zero; `undefined` for one that cannot be had. */
type ReadMany = (paths: Uint8Array) => Promise<(Uint8Array | undefined)[]>;

interface Wanted {
  readonly path: string;
  readonly settle: (content: Promise<Uint8Array | undefined>) => void;
}

/**
 * Reads small files that are asked for at the same time in one hop, which costs more than reading one (30 us of the main
 * thread's time where the other has to be woken).
 */
export class SmallFiles {
  readonly #readMany: ReadMany;
  #wanted: Wanted[] = [];

  constructor(readMany: ReadMany) {
    this.#readMany = readMany;
  }

  /** @returns `undefined` if it cannot be had */
  read(path: string): Promise<Uint8Array | undefined> {
    return new Promise((settle) => {
      // Behind everything that goes on because the hop before brought its files.
      if (this.#wanted.push({ path, settle }) === 1) process.nextTick(() => this.#readAll());
    });
  }

  #readAll(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    for (let i = 0; i < wanted.length; i += FILES_A_HOP) {
      const batch = wanted.slice(i, i + FILES_A_HOP);
      const contents = this.#readMany(bytesOfText(batch.map(({ path }) => `${path}\0`).join("")));
      for (const [j, { settle }] of batch.entries()) settle(contents.then((all) => all[j]));
    }
  }
}
