/** What yore has made of a repository, the newest restic and Debian's older one find whole, and restore equal. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, run, runYore } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

const JUDGES = (["restic", "restic-debian"] as const).filter((name) => !missingPeer(name));
const env = { RESTIC_PASSWORD: "geheim" };

/** A snapshot, and a folder that is what it should restore to at the place that was backed up. */
interface Kept {
  readonly time: string;
  readonly source: string;
}

describe.skipIf(JUDGES.length === 0)("after yore's", () => {
  let folder: string;
  const made: Kept[] = [];

  beforeAll(async () => {
    folder = await temporaryFolder();
    const files = join(folder, "files");
    for (const version of ["1", "2"]) {
      await resticWith(env)(join(folder, `v${version}`), "init", "-q", "--repository-version", version);
      await makeKeyCheap(join(folder, `v${version}`), "geheim");
    }
    for (let round = 0; round < 3; round++) {
      await mkdir(join(files, `deep/${round}`), { recursive: true });
      await writeFile(join(files, "shared"), noise(800_000, 1));
      await writeFile(join(files, "changing"), noise(500_000, 10 + round));
      await writeFile(join(files, `deep/${round}/secret.key`), `secret ${round}`);
      await writeFile(join(files, "deep/text"), "all the same ".repeat(10_000 + round));
      const time = `2026-01-0${round + 1} 12:00:00`;
      for (const version of ["1", "2"])
        await resticWith(env)(join(folder, `v${version}`), "backup", "-q", "--time", time, files);
      const source = join(folder, `source-${round}`);
      await run("cp", ["-a", files, source]);
      made.push({ time: time.slice(0, 10), source });
    }
  }, 60_000);

  /** What both find: nothing wrong, exactly these snapshots, with this content. */
  async function judge(location: string, kept: readonly Kept[]): Promise<void> {
    for (const peer of JUDGES) {
      await resticWith(env, peer)(location, "check", "--read-data");
      const snapshots = JSON.parse(await resticWith(env, peer)(location, "snapshots", "--json")) as {
        id: string;
        time: string;
      }[];
      expect(snapshots.map(({ time }) => time.slice(0, 10)).sort()).toEqual(
        kept.map(({ time }) => time).sort(),
      );
      for (const { id, time } of snapshots) {
        const target = await temporaryFolder();
        await resticWith(env, peer)(location, "restore", id, "--target", target);
        const { source } = kept.find((one) => time.startsWith(one.time))!;
        expect(await differences(source, join(target, folder, "files"))).toBe("");
        await rm(target, { recursive: true });
      }
    }
  }

  async function yore(location: string, ...args: string[]): Promise<void> {
    const { code, stderr } = await runYore(["-r", location, "--no-cache", ...args], {
      env: { ...env, RESTIC_FROM_PASSWORD: "geheim" },
      cwd: await temporaryFolder(),
    });
    expect(code, stderr).toBe(0);
  }

  const copyOf = (version: 1 | 2) => copyOfRepository(join(folder, `v${version}`));

  describe.each([1, 2] as const)("in version %i,", (version) => {
    it.each<[string, string[][], (all: readonly Kept[]) => readonly Kept[]]>([
      [
        "prune",
        [
          ["forget", "latest"],
          ["prune", "--max-unused", "0"],
        ],
        (all) => all.slice(0, 2),
      ],
      ["forget --prune", [["forget", "--keep-last", "1", "--prune"]], (all) => all.slice(2)],
      ["tag", [["tag", "--add", "new"], ["prune"]], (all) => all],
      ["repair index", [["repair", "index", "--read-all-packs"]], (all) => all],
      ["repair snapshots", [["repair", "snapshots", "--forget"]], (all) => all],
      ["rewrite of the host", [["rewrite", "--forget", "--new-host", "other"], ["prune"]], (all) => all],
      ["key add", [["key", "add", "--new-insecure-no-password"]], (all) => all],
    ])("%s", { timeout: 120_000 }, async (_, commands, kept) => {
      const location = await copyOf(version);
      for (const args of commands) await yore(location, ...args);
      await judge(location, kept(made));
    });

    it("rewrite --exclude and a prune", { timeout: 120_000 }, async () => {
      const location = await copyOf(version);
      await yore(location, "rewrite", "--forget", "--exclude", "shared");
      await yore(location, "prune", "--max-unused", "0");
      const kept = await Promise.all(
        made.map(async ({ time, source }) => {
          const without = join(await temporaryFolder(), "source");
          await run("rsync", ["-aHAX", "--exclude", "shared", `${source}/`, `${without}/`]);
          return { time, source: without };
        }),
      );
      await judge(location, kept);
    });

    it("repair packs", { timeout: 120_000 }, async () => {
      const location = await copyOf(version);
      const packs = await readdir(join(location, "data"), { recursive: true });
      const ids = packs.filter((name) => name.length > 60).map((name) => name.slice(3));
      await yore(location, "repair", "packs", ...ids);
      await judge(location, made);
    });

    it("copy", { timeout: 120_000 }, async () => {
      const target = join(await temporaryFolder(), "target");
      await resticWith(env)(target, "init", "-q", "--repository-version", String(version));
      await yore(target, "copy", "--from-repo", await copyOf(version));
      await judge(target, made);
    });

    it("recover", { timeout: 120_000 }, async () => {
      const location = await copyOf(version);
      for (const name of await readdir(join(location, "snapshots")))
        await rm(join(location, "snapshots", name));
      await yore(location, "recover");
      for (const peer of JUDGES) {
        await resticWith(env, peer)(location, "check", "--read-data");
        const target = await temporaryFolder();
        await resticWith(env, peer)(location, "restore", "latest", "--target", target);
        const roots = (await readdir(target)).map((root) => join(target, root, folder, "files"));
        expect(roots).toHaveLength(made.length);
        for (const { source } of made) {
          const changes = await Promise.all(roots.map((root) => differences(source, root)));
          expect(changes.filter((text) => text === "")).toHaveLength(1);
        }
      }
    });
  });

  it("migrate, and what follows it", { timeout: 120_000 }, async () => {
    const location = await copyOf(1);
    await yore(location, "migrate", "upgrade_repo_v2");
    await judge(location, made);
    await yore(location, "prune", "--repack-uncompressed");
    await judge(location, made);
  });
});
