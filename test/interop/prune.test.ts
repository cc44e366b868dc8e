/** `prune` on repositories that restic writes, beside restic. */

import { spawn } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { pruneRepository } from "../../src/maintenance/prune.js";
import { openRepository, PASSWORD } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticWith } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, peer, runRestic, runYore } from "../support/run.js";
import { differences } from "../support/same-backup.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: PASSWORD };
const LOCKED = 11;

describe.skipIf(missingPeer("restic"))("prune", () => {
  let folder: string;
  let original: string;
  let location: string;

  const restic = (...args: string[]) => resticWith(env)(location, ...args);

  /** Many small packs, half of them no longer needed, with files that only one snapshot has. */
  beforeAll(async () => {
    folder = await temporaryFolder();
    original = location = join(folder, "original");
    await restic("init", "-q");
    await makeKeyCheap(original, PASSWORD);
    await mkdir(join(folder, "files", "deep"), { recursive: true });
    for (let round = 0; round < 6; round++) {
      await writeFile(join(folder, "files", "changing"), noise(1_200_000, round));
      await writeFile(join(folder, "files", "deep", `kept ${round}`), noise(200_000, 50 + round));
      await restic("backup", "-q", join(folder, "files"));
    }
    await restic("forget", "-q", "--keep-last", "2");
  });

  beforeEach(async () => {
    location = await copyOfRepository(original);
  });

  afterEach(async () => {
    await rm(join(location, ".."), { recursive: true });
  });

  it("leaves what both restics find whole, and what restores equal", { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await runYore(["-r", location, "prune"], { env });
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("repacking packs\nrebuilding index\nremoving ");
    expect(stdout.trim().split("\n").at(-1)).toBe("done");
    await restic("check", "--read-data");
    if (!missingPeer("restic-debian")) {
      const args = ["-r", location, "--no-cache", "check", "--read-data"];
      expect((await runRestic(args, { env, peer: "restic-debian" })).code).toBe(0);
    }
    const target = await temporaryFolder();
    await restic("restore", "-q", "latest", "--target", target);
    expect(await differences(join(folder, "files"), join(target, folder, "files"))).toBe("");
    expect(await restic("prune", "--dry-run")).toMatch(/total prune: +0 blobs/);
  });

  it("prints nothing but JSON with --json, and nothing with --quiet", async () => {
    const dry = await runYore(["-r", location, "prune", "--dry-run", "--json"], { env });
    const { stdout, stderr } = await runYore(["-r", location, "prune", "--json"], { env });
    const lines = stdout.trim().split("\n");
    const summaries = [dry.stdout.trim().split("\n").at(-1)!, lines.at(-1)!].map(
      (line) => JSON.parse(line) as Record<string, unknown>,
    );
    for (const line of lines) JSON.parse(line);
    expect(stderr).toBe("");
    expect(summaries[0]).toEqual({ ...summaries[1], dry_run: true });
    expect(summaries[1]).toMatchObject({ message_type: "summary", not_removed: 0 });
    expect((await runYore(["-r", location, "prune", "--quiet"], { env })).stdout).toBe("");
  });

  it.each([
    [["--max-unused", "100%"]],
    [["--max-unused", "-1%"]],
    [["--max-unused", "ten"]],
    [["--max-unused", ""]],
    [["--max-repack-size", "x"]],
    [["--repack-smaller-than", "0"]],
    [["--repack-smaller-than", "17M"]],
    [["--unsafe-recover-no-free-space", "abc"]],
    [["--repack-uncompressed", "--compression", "off"]],
    [["--no-lock"]],
  ])("refuses %j with restic's exit code, and changes nothing", async (flags) => {
    const before = (await readdir(location, { recursive: true })).sort();
    const args = ["-r", location, "--no-cache", "prune", ...flags];
    const [theirs, ours] = [await runRestic(args, { env }), await runYore(args, { env })];
    expect(ours.code).toBe(theirs.code);
    expect((await readdir(location, { recursive: true })).sort()).toEqual(before);
  });

  it("keeps what was repacked when it is interrupted, and goes on from there", {
    timeout: 60_000,
  }, async () => {
    const controller = new AbortController();
    const repository = await openRepository(await LocalBackend.open(location));
    const plan = await pruneRepository(repository, { dryRun: true, maxUnused: { kind: "bytes", bytes: 0 } });
    const progress = {
      phase: "index" as const,
      index: { totalFiles: 0, loadedFiles: 0 },
      total: 0,
      bytes: 0,
      bytesTotal: 0,
      trees: 0,
      treesTotal: 0,
      packs: 0,
      get done() {
        return this.packs;
      },
      set done(packs: number) {
        this.packs = packs;
        if ((this.phase as string) === "repack" && packs === 2) controller.abort();
      },
    };
    const options = { maxUnused: { kind: "bytes", bytes: 0 } } as const;
    const interrupted = pruneRepository(repository, options, { progress, signal: controller.signal });
    await expect(interrupted).rejects.toMatchObject({ code: "interrupted" });
    await restic("check", "--read-data");
    const rest = await pruneRepository(await openRepository(await LocalBackend.open(location)), options);
    const leftToCopy = ({ blobs }: typeof rest.statistics) => blobs.repack - blobs.repackRemove;
    expect(leftToCopy(rest.statistics)).toBeLessThan(leftToCopy(plan.statistics));
    await restic("check", "--read-data");
  });

  it("refuses a repository whose index is damaged, rather than take packs for nobody's", async () => {
    const [index] = await readdir(join(location, "index"));
    const path = join(location, "index", index!);
    await rm(path);
    await writeFile(path, noise(500, 1));
    const before = (await readdir(join(location, "data"), { recursive: true })).sort();
    const { code, stderr } = await runYore(["-r", location, "prune"], { env });
    expect(code).toBe(1);
    expect(stderr).toContain("yore repair index");
    expect((await readdir(join(location, "data"), { recursive: true })).sort()).toEqual(before);
  });

  it("waits for nobody: a backup of restic that is under way keeps it out, and the reverse", {
    timeout: 60_000,
  }, async () => {
    const args = ["-r", location, "--no-cache", "backup", "-q", "--stdin"];
    const backup = spawn(peer("restic")!, args, {
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["pipe", "ignore", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => backup.on("close", resolve));
    try {
      await expect.poll(() => readdir(join(location, "locks")), { timeout: 20_000 }).toHaveLength(1);
      expect((await runYore(["-r", location, "prune"], { env })).code).toBe(LOCKED);
      expect((await runYore(["-r", location, "prune", "--dry-run", "--no-lock"], { env })).code).toBe(0);
    } finally {
      backup.stdin.end("what was backed up meanwhile");
    }
    expect(await ended).toBe(0);
    const repository = await openRepository(await LocalBackend.open(location));
    const lock = await repository.lock({ exclusive: true });
    try {
      for (const command of [["prune"], ["backup", "--stdin"]])
        for (const run of [runYore, runRestic])
          expect((await run(["-r", location, "--no-cache", ...command], { env, input: "x" })).code).toBe(
            LOCKED,
          );
      await pruneRepository(repository);
    } finally {
      await lock.release();
    }
    await restic("check", "--read-data");
    expect(await restic("dump", "latest", "stdin")).toBe("what was backed up meanwhile");
  });

  it("of two at once lets one through", { timeout: 60_000 }, async () => {
    const both = await Promise.all([1, 2].map(() => runYore(["-r", location, "prune"], { env })));
    const codes = both.map(({ code }) => code);
    expect(codes.every((code) => code === 0 || code === LOCKED)).toBe(true);
    await restic("check", "--read-data");
  });
});
