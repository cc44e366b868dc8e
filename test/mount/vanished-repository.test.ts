import { rename } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { missingPeer } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { backUp, eventually, mountRepository, output, restic, shell } from "./mounting.js";

it.skipIf((await ownDriver.problem()) !== undefined || missingPeer("restic"))(
  "mount keeps its snapshots when the repository's folder goes away, and reads them when it is back",
  async () => {
    const folder = join(await temporaryFolder(), "data");
    await output('mkdir "$1" && for i in 1 2 3; do head -c 9000000 /dev/urandom > "$1/$i"; done', folder);
    const repository = await backUp(folder);
    const { path, log, close } = await mountRepository(repository, "own");
    try {
      const first = await output('ls "$1/ids"', path);
      const seen = join(path, "ids", first, folder);
      expect(await output('ls "$1"; cmp "$1/1" "$2/1"', seen, folder)).toBe("1\n2\n3");

      await rename(repository, `${repository}-away`);
      // The first failure has the index loaded again, which the second must not find empty.
      for (const name of ["2", "3"])
        expect((await shell('cat "$1/$2"', seen, name)).stderr).toMatch(/Input\/output error/);
      await expect
        .poll(() => log.join("\n"), { timeout: 15_000 })
        .toMatch(/the snapshots shown may be out of date/);
      expect(await output('ls "$1/ids"', path)).toBe(first);
      expect(log.join("\n")).toMatch(/the repository is not there any more/);
      expect(log.join("\n")).not.toMatch(/no index knows it/);

      await rename(`${repository}-away`, repository);
      expect(await output('cmp "$1/2" "$2/2" && cmp "$1/3" "$2/3"', seen, folder)).toBe("");
      await restic(repository, "backup", "-q", folder);
      await eventually('test "$(ls "$1/ids" | wc -l)" = 2', path);
    } finally {
      await close();
    }
  },
);
