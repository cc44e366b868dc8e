import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { createRepository, node, saveTree, snapshotOf } from "../repository/support.js";
import { temporaryFolder } from "../support/temporary.js";
import { mountRepository, output } from "./mounting.js";

const SNAPSHOTS = 700;
const MAX_FOLDERS = 3;

/** Snapshots of which each has another root tree, with one to three folders in it. */
async function makeRepository(path: string): Promise<void> {
  await mkdir(path);
  const backend = await LocalBackend.open(path);
  const repository = await createRepository({}, backend);
  const subtree = await saveTree(repository, [node("file")]);
  for (let i = 0; i < SNAPSHOTS; i++) {
    const folders = Array.from({ length: 1 + (i % MAX_FOLDERS) }, (_, j) =>
      node(`folder-${j}`, { type: "dir", mode: 0o755, subtree, inode: BigInt(i) }),
    );
    const tree = await saveTree(repository, folders);
    await saveSnapshot(
      repository,
      snapshotOf(tree, { time: { seconds: i, nanoseconds: 0, zoneMinutes: 0 } }),
    );
  }
  await repository.flush();
  await repository.close();
  await backend.close();
}

it.skipIf((await ownDriver.problem()) !== undefined)(
  "a mount shows the names of many snapshots before it has read their trees, and then how many folders are in each",
  async () => {
    const repository = join(await temporaryFolder(), "repository");
    await makeRepository(repository);
    const { path, log, close } = await mountRepository(repository, "own");
    try {
      const list = join(path, "snapshots");
      expect(await output('ls "$1" | wc -l', list)).toBe(`${SNAPSHOTS + 1}`);
      const right = Array.from({ length: SNAPSHOTS }, (_, i) => `${2 + 1 + (i % MAX_FOLDERS)}`);
      expect((await output('cd "$1" && stat -c %h 1970*', list)).split("\n")).toEqual(right);
      const found = await output('find "$1" -mindepth 3 -maxdepth 3 -name file | wc -l', list);
      expect(Number(found)).toBe(right.reduce((sum, links) => sum + Number(links) - 2, 0));
      expect(log).toEqual([]);
    } finally {
      await close();
    }
  },
);
