/** Killed at any moment, a prune leaves a repository that is whole, and that the next prune brings to the same end. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { pruneRepository } from "../../src/maintenance/prune.js";
import type { PruneOptions, PruneStatistics } from "../../src/maintenance/prune-options.js";
import { repairIndex } from "../../src/maintenance/repair-index.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const restic = resticWith(env);

describe.skipIf(missingPeer("restic"))("prune, killed at any moment", () => {
  let original: string;
  /** What the snapshots that are left are of. */
  let kept: { readonly id: string; readonly folder: string }[];

  /** Four snapshots of files that come and go, of which every second one is forgotten; and a pack that nobody knows. */
  beforeAll(async () => {
    const folder = await temporaryFolder();
    original = join(folder, "repository");
    await restic(original, "init", "-q");
    await makeKeyCheap(original, PASSWORD);
    kept = [];
    const forgotten: string[] = [];
    for (let round = 0; round < 4; round++) {
      const source = join(folder, `source-${round}`);
      await mkdir(join(source, "deep"), { recursive: true });
      for (let i = 0; i < 6; i++)
        if ((i + round) % 3 > 0) await writeFile(join(source, `file-${i}`), noise(100_000 + i * 60_000, i));
      await writeFile(join(source, "deep", `own-${round}`), noise(300_000, 100 + round));
      const json = await restic(original, "backup", "--json", source);
      const { snapshot_id: id } = JSON.parse(json.trim().split("\n").at(-1)!) as { snapshot_id: string };
      if (round % 2 === 0) forgotten.push(id);
      else kept.push({ id, folder: source });
    }
    await restic(original, "forget", ...forgotten);
    await mkdir(join(original, "data/ff"), { recursive: true });
    await writeFile(join(original, "data/ff", "f".repeat(64)), "left by somebody who was killed");
  });

  async function expectWhole(location: string): Promise<void> {
    for (const lock of await readdir(join(location, "locks"))) await rm(join(location, "locks", lock));
    await restic(location, "check", "--read-data");
    for (const { id, folder } of kept) {
      const target = await temporaryFolder();
      await restic(location, "restore", id, "--target", target);
      expect(await differences(folder, join(target, folder))).toBe("");
      await rm(target, { recursive: true });
    }
  }

  async function prune(location: string, options: PruneOptions): Promise<void> {
    const repository = await openRepository(await LocalBackend.open(location));
    await pruneRepository(repository, options);
  }

  async function packsOf(location: string): Promise<string[]> {
    const files = await readdir(join(location, "data"), { recursive: true, withFileTypes: true });
    return files.filter((file) => file.isFile()).map((file) => file.name);
  }

  it.each([
    ["as it is", { maxUnused: { kind: "bytes", bytes: 0 } }],
    ["that repacks nothing", { maxRepackBytes: 0 }],
  ] as [string, PruneOptions][])("%s", { timeout: 300_000 }, async (_, options) => {
    const changes = await dieEverywhere(
      original,
      async (repository) => {
        const lock = await repository.lock({ exclusive: true, timings: { settleMs: 1 } });
        await pruneRepository(repository, options);
        await lock.release();
      },
      async (location) => {
        await expectWhole(location);
        await prune(location, options);
        await expectWhole(location);
        const { packs } = await planOf(location);
        expect(packs).toMatchObject({ unused: 0, unreferenced: 0 });
        expect(await packsOf(location)).not.toContain("f".repeat(64));
        await rm(join(location, ".."), { recursive: true });
      },
    );
    expect(changes).toBeGreaterThan(8);
  });

  it("that removes the index first can be mended by repair index", { timeout: 300_000 }, async () => {
    const changes = await dieEverywhere(
      original,
      (repository) => pruneRepository(repository, { removeIndexFirst: true }),
      async (location) => {
        await repairIndex(await openRepository(await LocalBackend.open(location)));
        await expectWhole(location);
      },
    );
    expect(changes).toBeGreaterThan(8);
  });

  async function planOf(location: string): Promise<PruneStatistics> {
    const repository = await openRepository(await LocalBackend.open(location));
    const { statistics } = await pruneRepository(repository, { dryRun: true });
    return statistics;
  }
});
