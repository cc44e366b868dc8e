import { once } from "node:events";
import { watch } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SnapshotWatcher } from "../../src/mount/snapshot-watcher.js";
import { temporaryFolder } from "../support/temporary.js";

/** The longest that a timer can wait: only the kernel's word is left. */
const NEVER_MS = 2 ** 31 - 1;

/** A look that has begun. */
interface Look {
  end(): void;
  fail(error: Error): void;
}

describe("SnapshotWatcher", () => {
  let folder: string;
  let looks: Look[];
  let log: string[];
  let watcher: SnapshotWatcher;

  beforeEach(async () => {
    folder = await temporaryFolder();
    looks = [];
    log = [];
    const refresh = () => new Promise<void>((end, fail) => looks.push({ end, fail }));
    const options = { intervalMs: NEVER_MS, timeoutMs: NEVER_MS, folder };
    watcher = new SnapshotWatcher(refresh, { ...options, onLog: (line) => log.push(line) });
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
    looks[0]!.end();
    await begun(2);
  }, 20_000);

  it("tells of no look that fails once it was stopped", async () => {
    await writeFile(join(folder, "first"), "");
    await begun(1);
    watcher.stop();
    looks[0]!.fail(new Error("Cannot list: closed"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual([]);
  }, 20_000);
});
