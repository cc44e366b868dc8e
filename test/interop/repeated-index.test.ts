/** Index files that list the same blobs of a pack twice, beside restic, which takes no notice. */

import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { formatId } from "../../src/bytes/id.js";
import { encodeIndexFile, type IndexedPack } from "../../src/format/index-file.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const PROGRAMS = { restic: runRestic, yore: runYore };

/** The same packs in other index files. */
const FORMS: Record<string, (packs: IndexedPack[]) => IndexedPack[][]> = {
  "in the list of the pack": (packs) => [packs.map(twice)],
  "in the lists of several files": (packs) => [packs.slice(0, 3).map(twice), packs.slice(3).map(twice)],
  "under the pack that stands there twice": (packs) => [[...packs, ...packs]],
};

function twice({ packId, blobs }: IndexedPack): IndexedPack {
  return { packId, blobs: [...blobs, ...blobs] };
}

describe.skipIf(missingPeer("restic"))("an index that lists blobs twice", () => {
  let original: string;

  async function succeed(
    program: keyof typeof PROGRAMS,
    location: string,
    ...args: string[]
  ): Promise<string> {
    const { code, stdout, stderr } = await PROGRAMS[program](["-r", location, "--no-cache", ...args], {
      env,
    });
    expect(code, `${program} ${args.join(" ")}: ${stderr}${stdout}`).toBe(0);
    return stdout;
  }

  /** Four backups of which two are forgotten: packs that are repacked, that go, and that stay. */
  beforeAll(async () => {
    const folder = await temporaryFolder();
    original = join(folder, "original");
    await succeed("restic", original, "init");
    await makeKeyCheap(original, PASSWORD);
    await mkdir(join(folder, "files"));
    for (let round = 0; round < 4; round++) {
      await writeFile(join(folder, "files", "changing"), noise(1_200_000, round));
      await writeFile(join(folder, "files", `kept ${round}`), noise(200_000, 50 + round));
      await succeed("restic", original, "backup", join(folder, "files"));
    }
    await succeed("restic", original, "forget", "--keep-last", "2");
  });

  async function repeat(form: (packs: IndexedPack[]) => IndexedPack[][]): Promise<string> {
    const location = await copyOfRepository(original);
    const repository = await openRepository(await LocalBackend.open(location));
    const old = repository.indexIds;
    for (const packs of form([...repository.index.packs()]))
      await repository.saveFile("index", encodeIndexFile(packs));
    for (const id of old) await repository.backend.remove({ type: "index", name: formatId(id) });
    await repository.close();
    return location;
  }

  it.each(Object.keys(FORMS))(
    "%s is the same as one that lists them once",
    { timeout: 60_000 },
    async (name) => {
      const statistics: unknown[] = [];
      const plans: unknown[] = [];
      for (const program of ["restic", "yore"] as const) {
        const location = await repeat(FORMS[name]!);
        expect(await succeed(program, location, "check", "--read-data")).toContain("no errors were found");
        statistics.push(
          JSON.parse(await succeed(program, location, "stats", "--mode", "raw-data", "--json")),
        );
        const plan = await succeed(program, location, "prune", "--dry-run");
        plans.push(plan.split("\n").filter((line) => /^[a-z ]+: +\d/.test(line)));
        const copy = join(location, "../copy");
        await succeed(
          program,
          copy,
          "init",
          "--copy-chunker-params",
          "--from-repo",
          location,
          "--from-password-command",
          `echo ${PASSWORD}`,
        );
        await succeed(
          program,
          copy,
          "copy",
          "--from-repo",
          location,
          "--from-password-command",
          `echo ${PASSWORD}`,
        );
        await succeed("restic", copy, "check", "--read-data");
        const copied = JSON.parse(await succeed("restic", copy, "stats", "--mode", "raw-data", "--json"));
        statistics.push([copied.total_blob_count, copied.total_uncompressed_size]);

        const repaired = join(location, "../repaired");
        await cp(location, repaired, { recursive: true });
        expect(await succeed(program, repaired, "repair", "index")).not.toContain("unexpected size");
        for (const pruned of [location, repaired]) {
          await succeed(program, pruned, "prune");
          await succeed("restic", pruned, "check", "--read-data");
          await succeed("yore", pruned, "check", "--read-data");
        }
      }
      expect(statistics.slice(2)).toEqual(statistics.slice(0, 2));
      expect(plans[1]).toEqual(plans[0]);
      expect(plans[0]).not.toEqual([]);
    },
  );
});
