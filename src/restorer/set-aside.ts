import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { messageOf, systemCodeOf, YoreError } from "../errors.js";
import { textBytes } from "../patterns/mod.js";
import { type FileIdentity, isFile } from "./file-writer.js";
import { childOf, parentOf, type TargetFolder } from "./target-folder.js";

/** The name that a file gets which could not be restored wholly. */
const INCOMPLETE_SUFFIX = ".incomplete";
/** So many files of one name are kept; nobody restores a damaged file so often with another result. */
const MAX_NAMES = 1000;
/** Of file systems that have no hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
]);

/** Gives damaged files another name, so that nobody takes them for whole. No other file gives way to them. */
export class SetAside {
  /** Locations of all files that were set aside. */
  readonly locations = new Set<string>();
  readonly #target: TargetFolder;
  readonly #isPlanned: (location: string) => boolean;

  /** @param isPlanned whether the restore makes a file at a location, now or later */
  constructor(target: TargetFolder, isPlanned: (location: string) => boolean) {
    this.#target = target;
    this.#isPlanned = isPlanned;
  }

  /** Gives what is there of a damaged file another name, if it still is that file. @returns how that ended, for people */
  async keep(location: string, file: FileIdentity): Promise<string> {
    try {
      const status = await this.#target.status(location);
      if (!status) return "its other parts are gone: somebody else has removed or renamed it";
      if (!isFile(status, file))
        return "its other parts are gone, and somebody else has put something in its place";
      const aside = await this.#move(location);
      this.locations.add(aside);
      return `the other parts are in "${aside}"`;
    } catch (error) {
      return `the other parts stand under its own name, because they cannot be renamed: ${messageOf(error)}`;
    }
  }

  async #move(location: string): Promise<string> {
    const kept = shortName(location);
    for (let number = 1; number <= MAX_NAMES; number++) {
      const suffix = number === 1 ? INCOMPLETE_SUFFIX : `${INCOMPLETE_SUFFIX}-${number}`;
      const aside = childOf(parentOf(location), `${kept}${suffix}`);
      if (this.#isPlanned(aside)) continue;
      if (await this.#take(location, aside)) return aside;
      // What an earlier run has left.
      if (!this.locations.has(aside) && (await this.#areSame(location, aside))) {
        await this.#target.remove(location, false);
        return aside;
      }
    }
    throw new YoreError("backend", `${MAX_NAMES} files of such a name are there already`);
  }

  /** @returns whether the name was free */
  async #take(location: string, aside: string): Promise<boolean> {
    try {
      await this.#target.link(location, aside);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === "EEXIST") return false;
      if (!NO_LINKS.has(code)) throw error;
      if (await this.#target.status(aside)) return false;
      await this.#target.rename(location, aside);
      return true;
    }
    await this.#target.remove(location, false);
    return true;
  }

  async #areSame(location: string, aside: string): Promise<boolean> {
    const [a, b] = await Promise.all([this.#target.status(location), this.#target.status(aside)]);
    if (!a?.isFile() || !b?.isFile() || a.size !== b.size) return false;
    const [ours, theirs] = await Promise.all([this.#hash(location), this.#hash(aside)]);
    return ours === theirs;
  }

  async #hash(location: string): Promise<string> {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(this.#target.absolute(location))) hash.update(piece as Buffer);
    return hash.digest("hex");
  }
}

/** The name at a location, or what stands for it where the suffix would make it too long. */
function shortName(location: string): string {
  const name = location.slice(location.lastIndexOf("/") + 1);
  const bytes = textBytes(name);
  // Room for the number as well.
  if (bytes.length + INCOMPLETE_SUFFIX.length + `-${MAX_NAMES}`.length <= MAX_NAME_BYTES) return name;
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}
