import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFind } from "../../src/commands/find.js";
import { runStats } from "../../src/commands/stats.js";
import { ANY_SNAPSHOT, openRepository } from "../../src/mod.js";
import { missingPeer } from "../support/run.js";
import { SharedRepository } from "../support/same-backup.js";
import { temporaryFolder } from "../support/temporary.js";

describe.skipIf(missingPeer("restic"))("the trees that a walk can meet", () => {
  it.each(["restic", "yore"] as const)("are as many as it meets, after backups of %s", async (program) => {
    const shared = await SharedRepository.create();
    const folder = await temporaryFolder();
    for (const name of ["a", "b/c", "d/e/f"]) {
      await mkdir(join(folder, name), { recursive: true });
      await writeFile(join(folder, name, "file"), name);
    }
    await shared.backup(program, [folder]);
    await writeFile(join(folder, "a/file"), "changed");
    await shared.backup(program, [folder]);
    const session = await openRepository(shared.location, { password: "geheim" });
    try {
      for (const names of [[], ["latest"]]) {
        const counted = { trees: 0, treesTotal: 0 };
        const options = { names, filter: ANY_SNAPSHOT, mode: "restore-size" } as const;
        await runStats(session, options, { progress: counted });
        expect(counted.treesTotal).toBeGreaterThanOrEqual(counted.trees);
        expect(counted.treesTotal).toBeLessThan(counted.trees * 1.5);
        const found = { trees: 0, treesTotal: 0 };
        const target = {
          type: "paths",
          patterns: ["file"],
          ignoreCase: false,
          oldest: undefined,
          newest: undefined,
        } as const;
        const all = runFind(
          session,
          { target, snapshots: names, filter: ANY_SNAPSHOT, oldestFirst: false },
          String,
          { progress: found, onError: () => {} },
        );
        for await (const _ of all);
        expect(found).toEqual(counted);
      }
    } finally {
      await session.close();
    }
  });
});
