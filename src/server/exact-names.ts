import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemCodeOf } from "../errors.js";
import { Refusal } from "./refusal.js";
import type { RepositoryPath } from "./request-target.js";
import { keyOf } from "./usage.js";

/**
 * Finds a repository only by the name that its folders have. Where the file system takes "Laptop" for "laptop", as exFAT does
 * and that of macOS, another spelling would lead past the rules for "laptop", and one user into the folder of another. Memory:
 * the paths of the repositories that were asked for and are there.
 */
export class ExactNames {
  readonly #dataFolder: string;
  readonly #known = new Set<string>();

  constructor(dataFolder: string) {
    this.#dataFolder = dataFolder;
  }

  /**
   * @returns `undefined` when it is known already, as a rule
   * @throws {Refusal} 404 when it is there under another name only; what is missing is right
   */
  require(repository: RepositoryPath): Promise<void> | undefined {
    return this.#known.has(keyOf(repository)) ? undefined : this.#look(repository);
  }

  async #look(repository: RepositoryPath): Promise<void> {
    for (const [i, name] of repository.entries()) {
      const parent = join(this.#dataFolder, ...repository.slice(0, i));
      if (!(await isThere(join(parent, name)))) return;
      if (!(await readdir(parent)).includes(name))
        throw new Refusal(404, "Not found: a folder of that name is spelt differently");
    }
    this.#known.add(keyOf(repository));
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(systemCodeOf(error) ?? "")) return false;
    throw error;
  }
}
