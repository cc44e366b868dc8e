import { constants } from "node:fs";
import {
  chmod,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  rm,
  rmdir,
  symlink,
  unlink,
} from "node:fs/promises";
import { messageOf, systemCodeOf } from "../errors.js";
import type { Timestamp } from "../format/timestamp.js";
import type { FileCall, FileCallFailure, FileCallRunner } from "./file-call.js";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * The calls with node:fs alone, for machines without the addon. Times lose what a double cannot hold (about 100 ns),
 * devices and fifos cannot be made, extended attributes cannot be set: those calls fail with ENOTSUP.
 */
export class PortableFileCalls implements FileCallRunner {
  readonly #root: Buffer;

  constructor(root: Uint8Array) {
    this.#root = Buffer.from(root);
  }

  async run(calls: readonly FileCall[]): Promise<FileCallFailure[]> {
    const failures: FileCallFailure[] = [];
    let directory = this.#root;
    let failedDirectory = false;
    let failedName: Buffer | undefined;
    for (const [position, call] of calls.entries()) {
      if (call.kind !== "directory" && (failedDirectory || failedName?.equals(call.name))) continue;
      failedName = undefined;
      try {
        if (call.kind === "directory") {
          directory = join(this.#root, call.name);
          failedDirectory = true;
          await this.#refuseLinks(call.name);
          failedDirectory = false;
        } else {
          await this.#perform(join(directory, call.name), call);
          if (call.kind === "write" && call.status)
            failures.push({
              position,
              code: "ENOTSUP",
              reason: "it takes the native addon",
              isWritten: true,
            });
        }
      } catch (error) {
        failures.push({ position, code: systemCodeOf(error) ?? "EIO", reason: messageOf(error) });
        if (["write", "folder", "symlink", "node", "link"].includes(call.kind)) failedName = call.name;
      }
    }
    return failures;
  }

  async #perform(path: Buffer, call: FileCall): Promise<void> {
    switch (call.kind) {
      case "write":
        return writeNewFile(path, call.data);
      case "folder":
        return makeFolder(path);
      case "symlink":
        await removeOne(path);
        return symlink(Buffer.from(call.target), path);
      case "link":
        await removeOne(path);
        return link(join(this.#root, Buffer.from(call.source)), path);
      case "owner":
        return lchown(path, call.uid, call.gid);
      case "times":
        return lutimes(path, secondsOf(call.atime), secondsOf(call.mtime));
      case "mode":
        if (!(await lstat(path)).isSymbolicLink()) await chmod(path, call.mode);
        return;
      case "remove":
        return rm(path, { recursive: true, force: true });
      case "node":
      case "set-xattr":
        throw Object.assign(new Error("it takes the native addon"), { code: "ENOTSUP" });
    }
  }

  /** Nothing between the root and the folder may be a link. */
  async #refuseLinks(name: Buffer): Promise<void> {
    for (let end = name.indexOf(0x2f); name.length > 0; end = name.indexOf(0x2f, end + 1)) {
      const status = await lstat(join(this.#root, end < 0 ? name : name.subarray(0, end)));
      if (!status.isDirectory()) throw Object.assign(new Error("not a directory"), { code: "ENOTDIR" });
      if (end < 0) break;
    }
  }
}

async function writeNewFile(path: Buffer, data: Uint8Array): Promise<void> {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  const file = await open(path, flags, 0o600).catch(async (error: unknown) => {
    if (systemCodeOf(error) !== "EEXIST") throw error;
    await removeOne(path);
    return open(path, flags, 0o600);
  });
  try {
    // Some file systems (NFS, quotas) tell of a failed write only when the file is closed.
    await file.writeFile(data).finally(() => file.close());
  } catch (error) {
    // Half a file under its right name would look like a whole one.
    await unlink(path).catch(() => {});
    throw error;
  }
}

/** Makes a folder unless it is there; anything else, a link to a folder included, gives way. */
async function makeFolder(path: Buffer): Promise<void> {
  try {
    return await mkdir(path, 0o700);
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  }
  if ((await lstat(path)).isDirectory()) return;
  await unlink(path);
  await mkdir(path, 0o700);
}

/** Removes one thing, an empty folder included. Absence is success. */
async function removeOne(path: Buffer): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT") return;
    if (code !== "EISDIR" && code !== "EPERM") throw error;
    await rmdir(path);
  }
}

function secondsOf(time: Timestamp): number {
  return time.seconds + time.nanoseconds / 1e9;
}

function join(directory: Buffer, name: Buffer): Buffer {
  return name.length === 0 ? directory : Buffer.concat([directory, Buffer.from("/"), name]);
}
