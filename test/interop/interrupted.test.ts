/** `prune` and `check` may be interrupted at any time: nothing is lost, no lock is left, and what was done is done. */

import { once } from "node:events";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { pruneRepository } from "../../src/maintenance/prune.js";
import { openRepository, PASSWORD, wrapBackend } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, run, spawnYore } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const restic = resticWith(env);

describe.skipIf(missingPeer("restic"))("interrupted at any time,", () => {
  let folder: string;
  let original: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    original = join(folder, "repository");
    await restic(original, "init", "-q");
    await makeKeyCheap(original, PASSWORD);
    const files = join(folder, "files");
    await mkdir(files);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 6; i++)
        if ((i + round) % 3 > 0)
          await writeFile(join(files, `file-${i}`), noise(200_000, i + 10 * (round % 2)));
      await restic(original, "backup", "-q", files);
    }
    await restic(original, "forget", "-q", "--keep-last", "1");
  }, 60_000);

  async function expectWhole(location: string): Promise<void> {
    expect(await readdir(join(location, "locks"))).toEqual([]);
    await restic(location, "check", "--read-data");
    const target = await temporaryFolder();
    await restic(location, "restore", "latest", "--target", target);
    expect(await differences(join(folder, "files"), join(target, folder, "files"))).toBe("");
    await rm(target, { recursive: true });
  }

  /** The signal comes with a line of progress, each time one line later, until the command is through. */
  async function signalEverywhere(
    args: readonly string[],
    signal: NodeJS.Signals,
    afterwards: (location: string) => Promise<void>,
  ): Promise<number> {
    for (let line = 1; ; line += 3) {
      const location = await copyOfRepository(original);
      const slowly = ["--limit-download", "700", "--limit-upload", "700"];
      const child = spawnYore(["-r", location, ...args, ...slowly], {
        env: { ...env, YORE_PROGRESS_FPS: "20" },
      });
      child.stderr!.resume();
      const exit = once(child, "exit") as Promise<[number | null]>;
      let lines = 0;
      createInterface({ input: child.stdout! }).on("line", () => {
        if (++lines === line) child.kill(signal);
      });
      const [code] = await exit;
      if (lines < line) {
        expect(code).toBe(0);
        return line;
      }
      expect([0, 130]).toContain(code);
      await afterwards(location);
    }
  }

  it.each(["SIGINT", "SIGTERM"] as const)(
    "prune loses nothing to %s",
    { timeout: 240_000 },
    async (signal) => {
      const args = ["prune", "--max-unused", "0"];
      const lines = await signalEverywhere(args, signal, expectWhole);
      expect(lines).toBeGreaterThan(6);
    },
  );

  it("check changes nothing", { timeout: 240_000 }, async () => {
    const lines = await signalEverywhere(["check", "--read-data"], "SIGINT", async (location) => {
      expect(await run("diff", ["-r", original, location])).toMatchObject({ code: 0, stdout: "" });
    });
    expect(lines).toBeGreaterThan(6);
  });

  it("prune goes on where it was, whatever it was about to write", { timeout: 240_000 }, async () => {
    for (let stopAt = 0; ; stopAt++) {
      const location = await copyOfRepository(original);
      const local = await LocalBackend.open(location);
      const controller = new AbortController();
      let changes = 0;
      const change = async (work: () => Promise<void>) => {
        if (changes++ === stopAt) controller.abort();
        await work();
      };
      const backend = wrapBackend(local, {
        save: (handle, pieces) => change(() => local.save(handle, pieces)),
        remove: (handle) => change(() => local.remove(handle)),
      });
      const options = { maxUnused: { kind: "bytes", bytes: 0 } } as const;
      const outcome = await pruneRepository(await openRepository(backend), options, {
        signal: controller.signal,
      }).then(
        () => "done",
        (error: { code: string }) => error.code,
      );
      expect(["done", "interrupted"]).toContain(outcome);
      await expectWhole(location);
      await pruneRepository(await openRepository(await LocalBackend.open(location)), options);
      await expectWhole(location);
      const plan = await pruneRepository(await openRepository(await LocalBackend.open(location)), {
        ...options,
        dryRun: true,
      });
      expect(plan.statistics.packs).toMatchObject({ repack: 0, unused: 0, unreferenced: 0 });
      if (changes <= stopAt) return;
    }
  });
});
