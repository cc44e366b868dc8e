import { type BigIntStats, close, constants } from "node:fs";
import { link, lstat, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { makeFolders } from "../bytes/make-folders.js";
import { absolutePath } from "../bytes/system-path.js";
import { textKeepingBytes } from "../bytes/utf8.js";
import { messageOf, systemCodeOf, YoreError } from "../errors.js";
import { loadAddon } from "../native/addon.js";
import { textBytes } from "../patterns/mod.js";
import type { FileCallRunner } from "./file-call.js";
import { NativeFileCalls } from "./native-file-calls.js";
import { PortableFileCalls } from "./portable-file-calls.js";

/** A folder of the target as `FileCallQueue` wants it. */
export interface FolderPath {
  readonly text: string;
  readonly bytes: Buffer;
}

/** An open file, whoever opened it. */
export interface OpenTargetFile {
  readonly fd: number;
  close(): Promise<void>;
}

/**
 * The folder that a snapshot is restored into. Places in it are locations: absolute within the restored tree ("/home/x"),
 * in the text form of `pathText`, so that names that are no UTF-8 survive. Made of checked names only.
 */
export class TargetFolder {
  readonly root: Buffer;
  readonly calls: FileCallRunner;
  readonly #addon = loadAddon();

  constructor(path: string | Uint8Array) {
    this.root = typeof path === "string" ? textBytes(absolutePath(path)) : Buffer.from(path);
    this.calls = this.#addon ? new NativeFileCalls(this.#addon, this.root) : new PortableFileCalls(this.root);
  }

  /** False on machines without the addon, where devices, fifos and extended attributes cannot be made. */
  get isNative(): boolean {
    return this.#addon !== undefined;
  }

  /** Makes the folder itself, parents included. @throws {YoreError} if it cannot be, or is something else */
  async create(): Promise<void> {
    try {
      await makeFolders(this.root, 0o700);
      if (!(await stat(this.root)).isDirectory()) throw new Error("it is not a folder");
    } catch (error) {
      throw new YoreError("backend", `Cannot make the target folder "${this.root}": ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  absolute(location: string): Buffer {
    return location === "/" ? this.root : Buffer.concat([this.root, textBytes(location)]);
  }

  /** Path from the root without a slash in front; "" for the root. */
  relative(location: string): Buffer {
    return textBytes(location.slice(1));
  }

  /** The folder of a location. */
  folder(location: string): FolderPath {
    return { text: location, bytes: this.relative(location) };
  }

  /**
   * Makes a folder in a folder that was made or checked before. What stands in its place and is no folder, a symbolic
   * link to one included, is removed.
   * @returns true when it is new, so that nothing can be in it
   */
  async ensureFolder(location: string): Promise<boolean> {
    const path = this.absolute(location);
    const isThere = await isFolder(path);
    if (isThere) return false;
    if (isThere === false) await unlink(path);
    try {
      await mkdir(path, 0o700);
      return true;
    } catch (error) {
      // Somebody else may have been faster.
      if (systemCodeOf(error) === "EEXIST" && (await isFolder(path))) return false;
      throw error;
    }
  }

  /** Status of the thing itself, links not followed; `undefined` when there is nothing. */
  async status(location: string): Promise<BigIntStats | undefined> {
    try {
      return await lstat(this.absolute(location), { bigint: true });
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw error;
    }
  }

  /** Whether a folder stands there. The root may be a link to one: it was named by the user. */
  async hasFolder(location: string): Promise<boolean> {
    if (location !== "/") return (await this.status(location))?.isDirectory() === true;
    return (await stat(this.root).catch(() => undefined))?.isDirectory() === true;
  }

  /** Names in a folder; none when it does not exist or is no folder. */
  async list(location: string): Promise<Buffer[]> {
    if (!(await this.hasFolder(location))) return [];
    try {
      return await readdir(this.absolute(location), { encoding: "buffer" });
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  /** Names of the extended attributes of the thing itself; none where they cannot be read. */
  async listXattrs(location: string): Promise<string[]> {
    if (!this.#addon) return [];
    const names = await this.#addon.listXattrNames(this.absolute(location)).catch(() => Buffer.alloc(0));
    return textKeepingBytes(names).split("\0").slice(0, -1);
  }

  /** Opens a file beneath the root without following any link. @param flags as of open(2) */
  async open(location: string, flags: number): Promise<OpenTargetFile> {
    if (this.#addon) {
      const fd = await this.#addon.openBeneath(this.root, this.relative(location), flags);
      return { fd, close: () => closeDescriptor(fd) };
    }
    const handle = await open(this.absolute(location), flags | constants.O_NOFOLLOW, 0o600);
    return { fd: handle.fd, close: () => handle.close() };
  }

  /** Removes what is there, a folder only if it is empty or `recursive`. */
  async remove(location: string, recursive: boolean): Promise<void> {
    const path = this.absolute(location);
    const status = await this.status(location);
    if (!status) return;
    if (!status.isDirectory()) return unlink(path);
    return recursive ? rm(path, { recursive: true, force: true }) : rmdir(path);
  }

  /** A second name for a file. @throws `EEXIST` when there is something of that name */
  async link(location: string, to: string): Promise<void> {
    await link(this.absolute(location), this.absolute(to));
  }

  async rename(location: string, to: string): Promise<void> {
    await rename(this.absolute(location), this.absolute(to));
  }
}

/** Whether a folder stands there itself; `undefined` when nothing does. */
async function isFolder(path: Buffer): Promise<boolean | undefined> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The folder that a location is in. */
export function parentOf(location: string): string {
  return location.slice(0, Math.max(1, location.lastIndexOf("/")));
}

/** The location of a name in a folder. */
export function childOf(location: string, name: string): string {
  return location === "/" ? `/${name}` : `${location}/${name}`;
}

function closeDescriptor(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    close(fd, (error) => (error ? reject(error) : resolve()));
  });
}
