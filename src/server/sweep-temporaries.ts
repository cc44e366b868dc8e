import { lstat, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../errors.js";
import { isRepositoryPart, isReservedName, MAX_FOLDER_DEPTH } from "./request-target.js";
import { isServedFolder } from "./served-folder.js";
import { TEMPORARY_NAME } from "./upload.js";

/** What rest-server leaves behind when it dies. */
const REST_SERVER_TEMPORARY = /^[0-9a-f]{64}\.rest-server-temp\d+$/;

/** An upload that has written nothing for so long belongs to a process that is gone. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Removes the parts of uploads that killed servers left behind, where their file system gives files a name before they
 * are whole, and those that were about to get theirs.
 *
 * @param onLog gets one line when some were removed, and one for each folder that cannot be read
 */
export async function sweepTemporaries(dataFolder: string, onLog: (line: string) => void): Promise<void> {
  let removed = 0;
  for await (const folder of foldersWithFiles(dataFolder, onLog)) {
    const names = await readdir(folder).catch(() => []);
    for (const name of names) {
      if (!TEMPORARY_NAME.test(name) && !REST_SERVER_TEMPORARY.test(name)) continue;
      if (await removeIfAbandoned(join(folder, name))) removed++;
    }
  }
  if (removed > 0) onLog(`removed ${removed} parts of uploads that were never finished`);
}

async function removeIfAbandoned(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await lstat(path);
    if (Date.now() - mtimeMs < ABANDONED_MS) return false;
    await unlink(path);
    return true;
  } catch {
    return false;
  }
}

/** All folders of all repositories that may hold files. */
async function* foldersWithFiles(
  dataFolder: string,
  onLog: (line: string) => void,
  top = dataFolder,
  depth = 0,
): AsyncIterable<string> {
  try {
    for (const entry of await readdir(top, { withFileTypes: true })) {
      const { name } = entry;
      const path = join(top, name);
      if (!(await isServedFolder(dataFolder, top, entry))) continue;
      if (!isRepositoryPart(name)) {
        if (depth < MAX_FOLDER_DEPTH && !isReservedName(name))
          yield* foldersWithFiles(dataFolder, onLog, path, depth + 1);
        continue;
      }
      yield path;
      if (name === "data") for (const shard of await readdir(path)) yield join(path, shard);
    }
    yield top;
  } catch (error) {
    onLog(`Cannot look for unfinished uploads in "${top}": ${messageOf(error)}`);
  }
}
