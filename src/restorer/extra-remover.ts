import { throwIfAborted } from "../errors.js";
import { pathText } from "../patterns/mod.js";
import { childOf, type TargetFolder } from "./target-folder.js";

export interface ExtraRemoverOptions {
  /** What is kept although no tree has it. */
  readonly keeps: (location: string) => boolean;
  /** Takes a thing away with all below it, and calls back when it is gone. */
  readonly remove: (location: string, onRemoved: () => void) => Promise<void>;
  /** Told of each thing that is gone. */
  readonly onRemoved: (location: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Empties folders of the target of what the snapshot does not have in them, as `--delete` asks. */
export class ExtraRemover {
  readonly #target: TargetFolder;
  readonly #options: ExtraRemoverOptions;

  constructor(target: TargetFolder, options: ExtraRemoverOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** @param names that the tree of the folder has */
  async clean(folder: string, names: ReadonlySet<string>): Promise<void> {
    const { keeps, remove, onRemoved, signal } = this.#options;
    for (const bytes of await this.#target.list(folder)) {
      throwIfAborted(signal);
      const name = pathText(bytes);
      const extra = childOf(folder, name);
      if (names.has(name) || keeps(extra)) continue;
      const all = await this.#withAllBelow(extra);
      await remove(extra, () => {
        for (const one of all) onRemoved(one);
      });
    }
  }

  /** A thing that is to be removed, behind all that is below it: their names are in memory until it is gone. */
  async #withAllBelow(location: string, all: string[] = []): Promise<readonly string[]> {
    throwIfAborted(this.#options.signal);
    for (const name of await this.#target.list(location))
      await this.#withAllBelow(childOf(location, pathText(name)), all);
    all.push(location);
    return all;
  }
}
