import { YoreError } from "../errors.js";
import { textBytes } from "../patterns/mod.js";
import { FileCallQueue } from "./file-call-queue.js";
import { parentOf, type TargetFolder } from "./target-folder.js";

/** Makes the folders of a restore, those above first, and knows in which of them nothing can be that is not ours. */
export class FolderMaker {
  readonly #target: TargetFolder;
  readonly #dryRun: boolean;
  /** Folders that were made sure of, and whether they are new. */
  readonly #fresh = new Map<string, boolean>();
  /** Folders that could not be made, with the reason: nothing below them is tried again. */
  readonly #failed = new Map<string, unknown>();
  /** Folders to be made in folders that are new. */
  readonly #queue: FileCallQueue<string>;

  /** @param onError is told of each folder that could not be made by itself, later than `ensure` */
  constructor(target: TargetFolder, dryRun: boolean, onError: (location: string, error: YoreError) => void) {
    this.#target = target;
    this.#dryRun = dryRun;
    this.#queue = new FileCallQueue(target.calls, (failure, _call, location) => {
      const cause = Object.assign(new Error(failure.reason), { code: failure.code });
      const error = new YoreError("backend", `Cannot make the folder "${location}": ${failure.reason}`, {
        cause,
      });
      this.#failed.set(location, error);
      onError(location, error);
    });
  }

  /** Whether this run made the folder, so that nothing can be in it; `undefined` before it was made sure of. */
  isFresh(location: string): boolean | undefined {
    return this.#fresh.get(location);
  }

  hasFailed(location: string): boolean {
    return this.#failed.has(location);
  }

  /** Makes sure that a folder and all above it are folders, and no links that lead elsewhere; once for each. */
  async ensure(location: string): Promise<void> {
    if (this.#fresh.has(location)) return;
    if (this.#failed.has(location)) throw this.#failed.get(location);
    try {
      if (location !== "/") await this.ensure(parentOf(location));
      this.#fresh.set(location, await this.#make(location));
    } catch (error) {
      // Trying all that lies above again for everything below is quadratic: 10,000 folders take hours.
      this.#failed.set(location, error);
      throw error;
    }
  }

  /** Waits until all are made, and forgets which of them are new. */
  async finish(): Promise<void> {
    await this.#queue.drain();
    this.#fresh.clear();
  }

  /** Makes a folder in one that is there, or will be; without making it in a dry run. @returns whether nothing can be in it */
  async #make(location: string): Promise<boolean> {
    const parent = parentOf(location);
    const isParentFresh = location !== "/" && this.#fresh.get(parent) === true;
    if (this.#dryRun) return isParentFresh || !(await this.#target.hasFolder(location));
    if (location === "/") return false;
    if (!isParentFresh) return this.#target.ensureFolder(location);
    // Whether it is there need not be known: that costs a hop for each.
    const name = textBytes(location.slice(location.lastIndexOf("/") + 1));
    this.#queue.add(this.#target.folder(parent), { kind: "folder", name }, location);
    if (this.#queue.isFull) await this.#queue.send();
    return true;
  }
}
