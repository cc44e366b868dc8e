import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, YoreError } from "../errors.js";

/**
 * The config of a repository, kept in a file of this machine while another takes its place: a server that overwrites nothing
 * has none in between, and without it nobody opens the repository any more.
 */
export class ConfigCopy {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "config");
  }

  /** On the disk when it resolves. @throws {YoreError} `backend` when it cannot be written */
  static async make(sealed: Uint8Array): Promise<ConfigCopy> {
    let copy: ConfigCopy | undefined;
    try {
      copy = new ConfigCopy(await mkdtemp(join(tmpdir(), "yore-config-")));
      const file = await open(copy.path, "wx", 0o600);
      try {
        await file.writeFile(sealed);
        await file.sync();
      } finally {
        await file.close();
      }
      return copy;
    } catch (cause) {
      await copy?.remove();
      throw new YoreError("backend", `Cannot keep a copy of the config: ${messageOf(cause)}`, {
        cause,
        hint: "It is kept in the folder for temporary files, which TMPDIR names",
      });
    }
  }

  /** Never fails: what is left does no harm. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
  }
}
