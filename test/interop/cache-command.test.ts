import { lstat, mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const [NEW, OLD] = ["a".repeat(64), "b".repeat(64)];
const DAY_SECONDS = 24 * 60 * 60;

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await fill(folder);
});

async function fill(folder: string): Promise<void> {
  await mkdir(join(folder, NEW, "index/ab"), { recursive: true });
  await writeFile(join(folder, NEW, "version"), "1");
  await writeFile(join(folder, NEW, "index/ab/file"), Buffer.alloc(5000));
  await mkdir(join(folder, OLD));
  await mkdir(join(folder, "precious"));
  await writeFile(join(folder, "c".repeat(64)), "a file");
  const then = Date.now() / 1000 - 40.5 * DAY_SECONDS;
  for (const name of [OLD, "precious"]) await utimes(join(folder, name), then, then);
}

async function both(
  args: readonly string[],
): Promise<{ yore: RunResult; restic: RunResult; left: string[][] }> {
  const run = async (program: typeof runYore) => {
    const place = await temporaryFolder();
    await fill(place);
    const result = await program(["cache", ...args], { env: { RESTIC_CACHE_DIR: place } });
    const stdout = result.stdout.replaceAll(place, "CACHES");
    return { ...result, stdout, stdoutBytes: Buffer.from(stdout), left: await readdir(place) };
  };
  const [yore, restic] = [await run(runYore), await run(runRestic)];
  return { yore, restic, left: [yore.left, restic.left] };
}

describe.skipIf(missingPeer("restic"))("the cache command", () => {
  it.each([[[]], [["--no-size"]], [["--max-age", "50"]], [["--max-age", "0"]]])(
    "lists as restic does with %j",
    async (args) => {
      const { yore, restic } = await both(args);
      const shape = (text: string) => text.replaceAll(/-+/g, "-").replaceAll(/ +/g, " ");
      expect(shape(yore.stdout)).toBe(shape(restic.stdout));
      expect(yore.stdout).toContain("40 days ago");
      expect(yore.stdout).toContain("2 cache dirs in CACHES");
      expect(yore.code).toBe(0);
    },
  );

  it.each([
    [["--cleanup"]],
    [["--cleanup", "--max-age", "50"]],
    [["--cleanup", "--max-age", "0"]],
    [["--no-cache"]],
    [["extra"]],
    [["--max-age", "-1"]],
  ])("does as restic does with %j", async (args) => {
    const { yore, restic, left } = await both(args);
    expect(left[0]).toEqual(left[1]);
    expect(left[0]).toContain("precious");
    expect(yore.code).toBe(restic.code);
  });

  it("--cleanup-cache cleans before any command", async () => {
    const env = { RESTIC_CACHE_DIR: folder, RESTIC_PASSWORD: "x", RESTIC_REPOSITORY: join(folder, "repo") };
    expect((await runRestic(["init", "-q"], { env: { ...env, RESTIC_CACHE_DIR: undefined } })).code).toBe(0);
    await runYore(["snapshots"], { env });
    expect(await readdir(folder)).toContain(OLD);
    const result = await runYore(["snapshots", "--cleanup-cache", "--json"], { env });
    expect(JSON.parse(result.stdout)).toEqual([]);
    expect(await readdir(folder)).not.toContain(OLD);
    expect((await lstat(join(folder, NEW))).isDirectory()).toBe(true);
  });

  it("--json tells the same", async () => {
    const { stdout } = await runYore(["cache", "--json"], { env: { RESTIC_CACHE_DIR: folder } });
    const [old, fresh, summary] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(old).toMatchObject({ message_type: "cache", repository_id: OLD, old: true, size: 0 });
    expect(fresh).toMatchObject({ message_type: "cache", repository_id: NEW, old: false, size: 5001 });
    expect(summary).toEqual({ message_type: "summary", folder, caches: 2, removed: 0 });
  });
});
