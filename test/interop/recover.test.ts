/** `recover` finds what nothing leads to, also where restic's fails; `migrate` makes version 2 of version 1. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { runRecover } from "../../src/commands/recover.js";
import type { Repository } from "../../src/repository/repository.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, run, runRestic, runYore } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { sessionOf } from "../support/session-of.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const restic = resticWith(env);

/** Two snapshots of two folders. */
async function makeRepository(version: 1 | 2) {
  const folder = await temporaryFolder();
  const location = join(folder, "repository");
  await restic(location, "init", "-q", "--repository-version", String(version));
  await makeKeyCheap(location, PASSWORD);
  const folders: string[] = [];
  for (const name of ["first", "second"]) {
    const source = join(folder, name);
    await mkdir(join(source, "deep"), { recursive: true });
    await writeFile(join(source, "deep", "file"), noise(300_000, name.length));
    await writeFile(join(source, name), name);
    await restic(location, "backup", "-q", source);
    folders.push(source);
  }
  return { location, folders };
}

describe.skipIf(missingPeer("restic"))("recover", () => {
  it("brings back what was forgotten, and finds nothing the second time", async () => {
    const { location, folders } = await makeRepository(2);
    for (const name of await readdir(join(location, "snapshots")))
      await rm(join(location, "snapshots", name));
    for (const name of await readdir(join(location, "index"))) await rm(join(location, "index", name));
    const { code, stdout, stderr } = await runYore(["-r", location, "recover", "--json"], { env });
    expect(code, stderr).toBe(0);
    const summary = JSON.parse(stdout.trim().split("\n").at(-1)!) as { roots: string[]; snapshot_id: string };
    expect(summary.roots).toHaveLength(2);
    await restic(location, "check", "--read-data");
    const target = await temporaryFolder();
    await restic(
      location,
      "restore",
      "latest",
      "--tag",
      "recovered",
      "--path",
      "/recover",
      "--target",
      target,
    );
    for (const [i, root] of summary.roots.entries()) {
      const below = join(target, root.slice(0, 8));
      const changes = await Promise.all(folders.map((folder) => differences(folder, join(below, folder))));
      expect(
        changes.filter((text) => text === ""),
        `root ${i}`,
      ).toHaveLength(1);
    }
    const again = await runYore(["-r", location, "recover"], { env });
    expect(again.stdout).toContain("found 0 unreferenced roots\nno snapshot to write.");
  });

  it("killed at any moment, brings back all of it when it runs again", { timeout: 120_000 }, async () => {
    const { location, folders } = await makeRepository(2);
    for (const place of ["snapshots", "index"])
      for (const name of await readdir(join(location, place))) await rm(join(location, place, name));
    const work = (opened: Repository) => runRecover(sessionOf(opened));
    const changes = await dieEverywhere(location, work, async (copy) => {
      await work(await openRepository(await LocalBackend.open(copy)));
      await restic(copy, "check", "--read-data");
      const target = await temporaryFolder();
      await restic(copy, "restore", "latest", "--tag", "recovered", "--target", target);
      // A tree that was saved for the snapshot of the first run is itself a root of the second, with the others below it.
      for (const folder of folders) {
        const { stdout } = await run("find", [target, "-type", "d", "-path", `*${folder}`]);
        const places = stdout.trim().split("\n");
        const changes = await Promise.all(places.map((place) => differences(folder, place)));
        expect(changes).toContain("");
      }
    });
    expect(changes).toBeGreaterThan(2);
  });
});

describe.skipIf(missingPeer("restic"))("migrate", () => {
  it.each(["yore", "restic"] as const)(
    "is undone by nothing: %s works on",
    { timeout: 60_000 },
    async (program) => {
      const { location } = await makeRepository(1);
      const list = await runYore(["-r", location, "migrate"], { env });
      expect(list.stdout).toBe(await restic(location, "migrate"));
      const { code, stdout } = await runYore(["-r", location, "migrate", "upgrade_repo_v2"], { env });
      expect(code).toBe(0);
      expect(stdout).toContain("migration upgrade_repo_v2: success");
      expect(await restic(location, "cat", "config")).toContain('"version": 2');
      const prune = ["-r", location, "prune", "--repack-uncompressed"];
      expect((await (program === "yore" ? runYore : runRestic)(prune, { env })).code).toBe(0);
      await restic(location, "check", "--read-data");
    },
  );

  it.each([[["upgrade_repo_v2"]], [["--force", "upgrade_repo_v2"]]])(
    "%j ends as with restic where there is nothing to migrate",
    async (args) => {
      const { location } = await makeRepository(2);
      const theirs = await runRestic(["-r", location, "--no-cache", "migrate", ...args], { env });
      const ours = await runYore(["-r", location, "migrate", ...args], { env });
      expect(ours.code).toBe(theirs.code);
      expect((await runYore(["-r", location, "migrate", "foo"], { env })).code).toBe(1);
    },
  );

  it("refuses a repository that is not whole", async () => {
    const { location } = await makeRepository(1);
    for (const name of await readdir(join(location, "index"))) await rm(join(location, "index", name));
    const { code } = await runYore(["-r", location, "migrate", "upgrade_repo_v2"], { env });
    expect(code).toBe(1);
    expect(await restic(location, "cat", "config")).toContain('"version": 1');
  });

  it("killed at any moment leaves one version or the other", async () => {
    const { location } = await makeRepository(1);
    await dieEverywhere(
      location,
      (repository) => repository.upgrade(),
      async (copy) => {
        await restic(copy, "check", "--read-data");
        await openRepository(await LocalBackend.open(copy));
      },
    );
  });
});
