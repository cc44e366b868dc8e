import { once } from "node:events";
import { watch } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SnapshotWatcher } from "../../src/mount/snapshot-watcher.js";
import { temporaryFolder } from "../support/temporary.js";

/** The longest that a timer can wait: only the kernel's word is left. */
const NEVER_MS = 2 ** 31 - 1;

describe("SnapshotWatcher", () => {
  let folder: string;
  /** Ends each look that has begun. */
  let looks: (() => void)[];
  let watcher: SnapshotWatcher;

  beforeEach(async () => {
    folder = await temporaryFolder();
    looks = [];
    const refresh = () => new Promise<void>((end) => looks.push(end));
    const options = { intervalMs: NEVER_MS, timeoutMs: NEVER_MS, folder };
    watcher = new SnapshotWatcher(refresh, { ...options, onLog: () => undefined });
    await watcher.start();
  });

  afterEach(() => watcher.stop());

  const begun = (count: number) => expect.poll(() => looks.length, { timeout: 10_000 }).toBe(count);

  it("looks again for what comes while it looks", async () => {
    await writeFile(join(folder, "first"), "");
    await begun(1);
    // Begun after that of the watcher, and so told after it.
    const own = watch(folder);
    const told = once(own, "change");
    await writeFile(join(folder, "second"), "");
    await told;
    own.close();
    looks[0]!();
    await begun(2);
  }, 20_000);
});
