import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { mountFilesystem } from "../../src/fuse/mount.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { MirrorFilesystem } from "./mirror-filesystem.js";
import { backUp, eventually, mountRepository, output, shell } from "./mounting.js";

const READ_TIMEOUT_MS = 2_000;

it.skipIf((await ownDriver.problem()) !== undefined || missingPeer("restic"))(
  "mount gives an error within the deadline when the repository hangs, and heals by itself",
  async () => {
    const folder = join(await temporaryFolder(), "data");
    await output(
      'mkdir -p "$1/sub" && echo one > "$1/one" && head -c 9000000 /dev/urandom > "$1/sub/two"',
      folder,
    );
    const mirror = new MirrorFilesystem(await backUp(folder));
    const mirrored = join(await temporaryFolder(), "mirrored");
    await mkdir(mirrored);
    const disk = await mountFilesystem(mirror, { mountpoint: mirrored, driver: "own" });
    try {
      const repository = await mountRepository(mirrored, "own", { readTimeoutMs: READ_TIMEOUT_MS });
      try {
        const seen = join(repository.path, "snapshots/latest", folder);
        expect(await output('cat "$1/one"; ls "$1"', seen)).toBe("one\none\nsub");

        mirror.stall();
        const started = Date.now();
        const { code, stderr } = await shell('cat "$1/sub/two"', seen);
        expect(code).not.toBe(0);
        expect(stderr).toMatch(/Input\/output error/);
        // Looking up sub and two, and reading, may each take the whole time; the kernel tries a failed page once more.
        expect(Date.now() - started).toBeLessThan(5 * READ_TIMEOUT_MS);
        expect(await output('cat "$1/one"; ls "$1"', seen)).toBe("one\none\nsub");
        expect(repository.log.join("\n")).toMatch(/no answer within/i);

        mirror.heal();
        await eventually('cmp "$1/sub/two" "$2/sub/two"', seen, folder);
      } finally {
        mirror.heal();
        await repository.close();
      }
    } finally {
      await disk.unmount({ lazyIfBusy: true });
      await disk.done;
    }
  },
);
