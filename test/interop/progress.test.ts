/** Whoever waits is told how far it is and how long it will still take: by every command that can take long. */

import { randomBytes } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { resticSays } from "../support/interop.js";
import { noise } from "../support/make-zoo.js";
import { missingPeer, runYore } from "../support/run.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

describe.skipIf(missingPeer("restic"))("the progress of", () => {
  let folder: string;
  let repository: string;
  let oldest: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    repository = join(folder, "repository");
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: repository };
    await resticSays(env, ["init", "-q"]);
    await makeKeyCheap(repository, "geheim");
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) {
        const place = join(folder, "files", `${round}`, `${i}`);
        await mkdir(place, { recursive: true });
        // Names that take room, so that the trees do.
        for (let j = 0; j < 20; j++)
          await writeFile(join(place, noise(60, i * 50 + j).toString("hex")), noise(300, i + 50 * round));
      }
      await resticSays(env, ["backup", "-q", "--pack-size", "4", join(folder, "files")]);
    }
    await mkdir(join(folder, "new"));
    // More than is read ahead of the uploads.
    for (let i = 0; i < 8; i++) await writeFile(join(folder, "new", `${i}`), randomBytes(12_000_000));
    const all = JSON.parse(await resticSays(env, ["snapshots", "--json"])) as { id: string }[];
    oldest = all[0]!.id;
  }, 60_000);

  /** @param change what is done to the copy of the repository first */
  async function shown(args: readonly string[], change?: "forget"): Promise<string> {
    const copy = await copyOfRepository(repository);
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: copy, YORE_PROGRESS_FPS: "50" };
    if (change) await resticSays(env, ["forget", "-q", oldest]);
    const stored = await readdir(join(copy, "data"), { recursive: true });
    const packs = stored.filter((name) => name.length > 60).map((name) => name.slice(3));
    const words: Record<string, string[]> = { NEW: [join(folder, "new")], PACKS: packs };
    const filled = args.flatMap((arg) => words[arg] ?? [arg]);
    const { code, stdout, stderr } = await runYore(filled, { env, cwd: await temporaryFolder() });
    expect(code, stderr).toBe(0);
    return stdout;
  }

  // So slow that it takes a second or two, what is read being packs, trees or lists of blobs.
  const PACKS = ["--limit-download", "300"];
  const TREES = ["--limit-download", "60"];
  const LISTS = ["--limit-download", "4"];
  const SAVED = ["--limit-upload", "20000", "--pack-size", "4"];

  it.each<[readonly string[], "forget"?]>([
    [["stats", ...TREES]],
    [["find", "no such file", ...TREES]],
    [["check", ...TREES]],
    [["check", "--read-data", ...PACKS]],
    // Of packs it may find none to repack: how restic fills them is chance.
    [["prune", "--max-unused", "0", ...TREES], "forget"],
    [["rewrite", "--exclude", "3", ...TREES]],
    [["repair", "snapshots", ...TREES]],
    [["repair", "index", "--read-all-packs", ...LISTS]],
    [["repair", "packs", "PACKS", ...PACKS]],
    [["recover", ...TREES], "forget"],
    [["restore", "latest", "--target", "restored", ...PACKS]],
    [["backup", "NEW", ...SAVED]],
  ])("%j is shown, with the time that is left", { timeout: 60_000 }, async (args, change) => {
    const stdout = await shown(args, change);
    expect(stdout).toMatch(/^\[\d+:\d\d\] /m);
    expect(stdout).toMatch(/ETA \d+:\d\d/);
  });

  it("backup says what it still does when everything is read", { timeout: 60_000 }, async () => {
    const stdout = await shown(["backup", "NEW", "--limit-upload", "20000"]);
    expect(stdout).toMatch(/^\[\d+:\d\d\] 100\.00%.*, saving the last packs$/m);
  });

  it("copy is shown, with the time that is left", { timeout: 60_000 }, async () => {
    const target = join(await temporaryFolder(), "target");
    const env = { RESTIC_PASSWORD: "geheim", RESTIC_REPOSITORY: target, RESTIC_FROM_PASSWORD: "geheim" };
    await resticSays(env, ["init", "-q"]);
    const args = ["copy", "--from-repo", repository, ...PACKS];
    const { code, stdout, stderr } = await runYore(args, { env: { ...env, YORE_PROGRESS_FPS: "50" } });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/packs copied.* ETA \d+:\d\d/);
  });

  it.each([
    [["rewrite", "--exclude", "3", ...TREES]],
    [["repair", "snapshots", ...TREES]],
    [["repair", "index", "--read-all-packs", ...LISTS]],
    [["repair", "packs", "PACKS", ...PACKS]],
    [["recover", ...TREES]],
    [["prune", ...TREES]],
  ])("%j is shown to programs as well", { timeout: 60_000 }, async (args) => {
    const stdout = await shown([...args, "--json"], "forget");
    const messages = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const statuses = messages.filter(({ message_type }) => message_type === "status");
    for (const status of statuses)
      expect(status).toMatchObject({ done: expect.any(Number), total: expect.any(Number) });
    expect(statuses.some((status) => Number(status["seconds_remaining"]) > 0)).toBe(true);
  });

  it.each([[["stats"]], [["check"]], [["snapshots"]]])(
    "%j is not among restic's JSON, where programs expect one value",
    { timeout: 60_000 },
    async (args) => {
      const stdout = await shown([...args, "--json", ...TREES]);
      expect(stdout.trim().split("\n")).toHaveLength(1);
    },
  );
});
