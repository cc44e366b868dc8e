/** Backups and restores. What a backup made is right if restic finds it whole and its tree is the one that restic made. */
import { basename, dirname, join } from "node:path";
import { type DataName, makeData } from "./data.js";
import { dropPageCache, measure, run } from "./measure.js";
import {
  checkWhole,
  copyRepository,
  emptyRepository,
  environmentOf,
  makeRepository,
  type RepositoryEnv,
  snapshotsOf,
  treeOf,
} from "./repositories.js";
import { serveDelayed } from "./rest-server.js";
import { type Limit, type Place, setAside, type Task } from "./task.js";

export function firstBackup(data: DataName): Task {
  return {
    name: `backup-${data}`,
    what: `first backup of \`${data}\``,
    async run(program, place) {
      const source = makeData(place, data);
      const env = await emptyRepository(place, program, data);
      dropPageCache();
      const { sample } = await measure({ argv: [...program.argv, "backup", source], env });
      return { sample, proof: await provenTree(env, source, await makeRepository(place, data)) };
    },
    limit: (place) => copyOf(place, data),
  };
}

/** @param delayMs the repository lies behind the real rest-server, and each request takes so much longer */
export function backupAgain(page: "cold" | "warm", delayMs?: number): Task {
  return {
    name: `again-${delayMs === undefined ? page : "delay"}`,
    what: `backup of \`linux\` again, nothing changed, ${page}${delayMs === undefined ? "" : `, over REST, ${delayMs} ms a request`}`,
    async run(program, place) {
      const source = makeData(place, "linux");
      const near = await copyRepository(place, "linux");
      const path = near.RESTIC_REPOSITORY;
      const served = delayMs === undefined ? undefined : await serveDelayed(dirname(path), delayMs);
      try {
        const env = environmentOf(path, served?.locationOf(basename(path)));
        const argv = [...program.argv, "backup", source];
        if (page === "cold") dropPageCache();
        else await run({ argv, env });
        const before = (await snapshotsOf(near)).length;
        const { sample } = await measure({ argv, env });
        const made = (await snapshotsOf(near)).length - before;
        if (made !== 1) throw new Error(`the backup made ${made} snapshots`);
        return { sample, proof: await provenTree(near, source, await makeRepository(place, "linux")) };
      } finally {
        await served?.close();
      }
    },
    async limit(place) {
      const argv = ["find", makeData(place, "linux"), "-ls"];
      dropPageCache();
      if (page === "warm") await run({ argv });
      const { sample } = await measure({ argv });
      return { sample };
    },
  };
}

/** By repository: that of each is read once. */
const expectedTrees = new Map<string, string>();

/** @returns the newest snapshot's tree @throws {Error} unless it is that of the other repository, with all that it names */
async function provenTree(env: RepositoryEnv, folder: string, like: string): Promise<string> {
  await checkWhole(env);
  const tree = await treeOf(env, folder);
  const expected = expectedTrees.get(like) ?? (await treeOf(environmentOf(like), folder));
  expectedTrees.set(like, expected);
  if (tree !== expected) throw new Error(`the backup made the tree ${tree}, expected ${expected}`);
  return tree;
}

export function restoreOf(data: DataName): Task {
  return {
    name: `restore-${data}`,
    what: `restore of \`${data}\``,
    async run(program, place) {
      const source = makeData(place, data);
      const env = environmentOf(await makeRepository(place, data));
      const target = join(place.scratch, "target");
      dropPageCache();
      const { sample } = await measure({
        argv: [...program.argv, "restore", "latest", "--target", target],
        env,
      });
      await run({ argv: ["diff", "-r", "--no-dereference", source, join(target, source)] });
      if (data === "linux") setAside(place, target);
      return { sample, proof: "equal" };
    },
    limit: (place) => copyOf(place, data),
  };
}

/** Everything is there and right, and all of it has to be read to know that. */
export const restoreAgain: Task = {
  name: "restore-again",
  what: "restore of `linux` over what is there, nothing changed, warm",
  async run(program, place) {
    const source = makeData(place, "linux");
    const env = environmentOf(await makeRepository(place, "linux"));
    const target = join(place.scratch, "target");
    const argv = [...program.argv, "restore", "latest", "--target", target];
    await run({ argv, env });
    const { sample } = await measure({ argv, env });
    await run({ argv: ["diff", "-r", "--no-dereference", source, join(target, source)] });
    setAside(place, target);
    return { sample, proof: "equal" };
  },
};

/** The limit of all that reads and writes the whole set. */
async function copyOf(place: Place, data: DataName): Promise<Limit> {
  const source = makeData(place, data);
  const copy = join(place.scratch, "copy");
  dropPageCache();
  const { sample } = await measure({ argv: ["cp", "-r", source, copy] });
  if (data === "linux") setAside(place, copy);
  return { sample };
}
