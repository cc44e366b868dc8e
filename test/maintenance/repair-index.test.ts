import { randomBytes } from "node:crypto";
import { existsSync, renameSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { repairIndex } from "../../src/maintenance/repair-index.js";
import { createRepository, openRepository } from "../repository/support.js";

it("keeps the index when the repository's disk is away while the packs are listed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "yore-repair-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const place = join(folder, "repository");
  const repository = await createRepository({}, await LocalBackend.open(place));
  const content = randomBytes(1000);
  await repository.saveBlob("data", content);
  await repository.flush();
  const indexFiles = await readdir(join(place, "index"));
  expect(indexFiles.length).toBe(1);

  const away = `${place}-away`;
  const repair = repairIndex(
    await openRepository(await LocalBackend.open(place)),
    {},
    {
      on: (event) => {
        if (event.type === "phase" && event.phase === "packs") renameSync(place, away);
        else if (event.type === "phase" && existsSync(away)) renameSync(away, place);
      },
    },
  );
  await expect(repair).rejects.toThrow(/not there any more/);
  renameSync(away, place);
  expect(await readdir(join(place, "index"))).toEqual(indexFiles);
});
