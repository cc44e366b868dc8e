import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LastingRemovals } from "../../src/backend/lasting-removals.js";
import { temporaryFolder } from "../support/temporary.js";

it("a key that was removed is waited for again when it is not known to last", async () => {
  const folder = await temporaryFolder();
  const keys = join(folder, "keys");
  // What cannot be opened cannot be synced.
  symlinkSync("keys", keys);
  const removals = new LastingRemovals(folder);
  await removals.beforeRemoval("key");
  removals.afterRemoval("key");
  await expect(removals.settle()).rejects.toThrow(/sync/);
  await expect(removals.beforeRemoval("key")).rejects.toThrow(/sync/);
  rmSync(keys);
  mkdirSync(keys);
  await removals.beforeRemoval("key");
  await removals.settle();
});

it("what was removed from a folder that is gone keeps nobody waiting", async () => {
  const removals = new LastingRemovals(join(await temporaryFolder(), "gone"));
  removals.afterRemoval("snapshot");
  await removals.settle();
});
