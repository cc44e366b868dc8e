import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fuseNativeDriver } from "../../src/fuse/drivers/fuse-native-driver.js";
import { mountFilesystem } from "../../src/fuse/mount.js";
import { filesystemSuite } from "../suites/filesystem-suite.js";
import { temporaryFolder } from "../support/temporary.js";
import { ToyFilesystem, toyTree } from "./toy-filesystem.js";

const problem = await fuseNativeDriver.problem();
if (problem) console.warn(`SKIPPED: ${problem}`);

describe.runIf(!problem && process.getuid?.() === 0)("fuse-native driver", () => {
  filesystemSuite({
    driver: "fuse-native",
    isExact: false,
    canSeek: false,
    canInterrupt: false,
    canInvalidate: false,
    canStore: false,
  });

  // libfuse cancels them; in libuv's handler of SIGCHLD they would take its lock with them.
  it("lets no thread of libfuse take signals, and all others as before", async () => {
    const before = blockedSignals();
    const filesystem = new ToyFilesystem(toyTree().root);
    const mount = await mountFilesystem(filesystem, {
      mountpoint: await temporaryFolder(),
      driver: "fuse-native",
    });
    try {
      const after = blockedSignals();
      const started = [...after].filter(([thread]) => !before.has(thread)).map(([, blocked]) => blocked);
      expect(started.length).toBeGreaterThan(0);
      for (const blocked of started) expect(blocked & SIGCHLD_BIT).toBe(SIGCHLD_BIT);
      for (const [thread, blocked] of before) expect(after.get(thread) ?? blocked).toBe(blocked);
    } finally {
      await mount.unmount({ lazyIfBusy: true });
      await mount.done;
    }
  });
});

const SIGCHLD_BIT = 1n << 16n;

/** Of each thread of this process the signals that it does not take, as the kernel keeps them. */
function blockedSignals(): Map<string, bigint> {
  const threads = readdirSync("/proc/self/task");
  return new Map(
    threads.map((thread) => {
      const status = readFileSync(`/proc/self/task/${thread}/status`, "latin1");
      return [thread, BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)$/m.exec(status)![1]}`)];
    }),
  );
}
