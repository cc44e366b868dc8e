/** The repositories that tasks read: made once by restic, so that both programs read the very same bytes, and kept. */
import { cpSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { makeData, partialOf } from "./data.js";
import { changeDayByDay, HISTORY, SMALL_HISTORY } from "./history-data.js";
import { addIndexFiles } from "./index-data.js";
import { run } from "./measure.js";
import { type Program, restic } from "./programs.js";
import type { Place } from "./task.js";

export type RepositoryName = "linux" | "big" | "flat" | "linux+big" | "history" | "index";

/** A repository as the variables name it that both programs know: location, password, cache. */
export type RepositoryEnv = {
  readonly RESTIC_REPOSITORY: string;
  readonly RESTIC_PASSWORD: string;
  /** With the local cache as a backup from this machine leaves it. */
  readonly RESTIC_CACHE_DIR: string;
};

export function environmentOf(repository: string, location = repository): RepositoryEnv {
  return {
    RESTIC_REPOSITORY: location,
    RESTIC_PASSWORD: "bench",
    RESTIC_CACHE_DIR: `${repository}.cache`,
  };
}

/** The blobs that the index of the repository `index` holds. */
export function blobsOfIndex(place: Place): number {
  return place.short ? 120_000 : 5_000_000;
}

/** Makes the repository unless it is there. @returns its folder */
export async function makeRepository(place: Place, name: RepositoryName): Promise<string> {
  const path = join(place.data, `${name}.repository`);
  if (existsSync(path)) return path;
  const partial = partialOf(path);
  const env = { ...environmentOf(partial), RESTIC_CACHE_DIR: environmentOf(path).RESTIC_CACHE_DIR };
  const backup = (folder: string, ...flags: string[]) => {
    console.error(`bench: backing up ${folder}`);
    return run({ argv: [...restic().argv, "backup", ...flags, folder], env });
  };
  await run({ argv: [...restic().argv, "init"], env });
  if (name === "history") {
    const folder = join(place.scratch, "history");
    for (const time of changeDayByDay(folder, place.short ? SMALL_HISTORY : HISTORY)) {
      await backup(folder, "--time", new Date(time * 1000).toISOString().slice(0, 19).replace("T", " "));
    }
  } else if (name === "index") {
    await backup(import.meta.dirname);
    await addIndexFiles(partial, env.RESTIC_PASSWORD, blobsOfIndex(place));
    // Whoever has listed once has the index in the cache.
    await run({ argv: [...restic().argv, "ls", "latest"], env });
  } else {
    for (const set of name.split("+")) await backup(makeData(place, set as "linux"));
  }
  renameSync(partial, path);
  return path;
}

/** A repository of a task's own, with the cache: to be changed. Packs are never changed in place, so links are copies. */
export async function copyRepository(place: Place, name: RepositoryName): Promise<RepositoryEnv> {
  const source = await makeRepository(place, name);
  const copy = join(place.scratch, "repository");
  await run({ argv: ["cp", "-al", source, copy] });
  cpSync(environmentOf(source).RESTIC_CACHE_DIR, environmentOf(copy).RESTIC_CACHE_DIR, { recursive: true });
  return environmentOf(copy);
}

/** An empty repository that cuts files as the named one does: the same files become the same trees in it. */
export async function emptyRepository(
  place: Place,
  program: Program,
  like: RepositoryName,
): Promise<RepositoryEnv> {
  const env = environmentOf(join(place.scratch, "repository"));
  const source = await makeRepository(place, like);
  mkdirSync(env.RESTIC_CACHE_DIR, { recursive: true });
  await run({
    argv: [...program.argv, "init", "--copy-chunker-params", "--from-repo", source],
    env: { ...env, RESTIC_FROM_PASSWORD: env.RESTIC_PASSWORD },
  });
  return env;
}

/** The snapshots from the oldest to the newest, as restic reads them. */
export async function snapshotsOf(env: RepositoryEnv): Promise<{ id: string; tree: string }[]> {
  return JSON.parse(await run({ argv: [...restic().argv, "snapshots", "--json"], env }));
}

/** The tree of a folder in the newest snapshot, as restic prints it: it names all that lies below by its IDs. */
export async function treeOf(env: RepositoryEnv, folder: string): Promise<string> {
  const newest = (await snapshotsOf(env)).at(-1);
  if (!newest) throw new Error(`there is no snapshot in ${env.RESTIC_REPOSITORY}`);
  return run({ argv: [...restic().argv, "cat", "tree", `${newest.id}:${folder}`], env });
}

/** Fails unless restic finds the repository whole. */
export async function checkWhole(env: RepositoryEnv): Promise<void> {
  await run({ argv: [...restic().argv, "check"], env });
}
