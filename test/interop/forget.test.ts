import { readdir } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { listSnapshots, openRepository } from "../../src/mod.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

/** `forget` of both programs over a repository of many snapshots. */

let folder: string;
let env: Record<string, string>;

async function both(
  args: readonly string[],
  location?: string,
): Promise<{ yore: RunResult; restic: RunResult }> {
  const options = {
    env: location === undefined ? env : { ...env, RESTIC_REPOSITORY: location },
    cwd: folder,
  };
  // One after the other: each wants the lock for itself.
  const yore = await runYore([...args, "--no-cache"], options);
  const restic = await runRestic([...args, "--no-cache"], options);
  return { yore, restic };
}

/** restic's groups come in no order. */
function groups(result: RunResult): unknown[] {
  const parsed = result.stdout === "" ? [] : (JSON.parse(result.stdout) as unknown[]);
  return parsed.map((group) => JSON.stringify(group)).sort();
}

const count = fc.constantFrom("1", "2", "5", "unlimited");
const duration = fc.constantFrom("1d", "3d12h", "2m", "1y2m3d4h", "400d", "7h");
const flag = fc.oneof(
  fc.tuple(fc.constantFrom("last", "hourly", "daily", "weekly", "monthly", "yearly"), count),
  fc.tuple(
    fc.constantFrom(
      "within",
      "within-hourly",
      "within-daily",
      "within-weekly",
      "within-monthly",
      "within-yearly",
    ),
    duration,
  ),
  fc.tuple(fc.constant("tag"), fc.constantFrom("a", "a,b", "c", "")),
);
const policies = fc.sample(
  fc.tuple(
    fc
      .array(flag, { minLength: 1, maxLength: 4 })
      .map((flags) => flags.flatMap(([name, value]) => [`--keep-${name}`, value])),
    fc.constantFrom(
      [],
      [],
      ["--group-by", "host"],
      ["--group-by", "tags,paths"],
      ["--group-by", ""],
      ["--host", "h1"],
    ),
  ),
  { numRuns: 25, seed: 19 },
);

describe.skipIf(missingPeer("restic"))("forget", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    const repository = join(folder, "repository");
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: repository };
    await runRestic(["init", "--quiet"], { env });
    await makeKeyCheap(repository, "geheim");
    for (const [time, host, tag] of [
      ["2024-01-02 03:04:05", "h1", "a"],
      ["2024-03-31 02:30:00", "h1", "a,b"],
      ["2025-12-31 23:59:59", "h2", ""],
    ]) {
      const args = ["backup", "-q", "--no-cache", "--stdin", "--time", time!, "--host", host!, "--tag", tag!];
      const result = await runRestic(args, { env, input: "x" });
      if (result.code !== 0) throw new Error(result.stderr);
    }
    await addSnapshots(repository);
  }, 120_000);

  it.each([
    ...policies,
    [
      ["--keep-tag", ",a"],
      ["--group-by", ""],
    ],
    [
      ["--keep-last", "1"],
      ["--tag", ",a"],
    ],
  ])("keeps the same for %j %j", async (policy, more) => {
    const { yore, restic } = await both(["forget", "--dry-run", "--json", ...policy, ...more]);
    expect(groups(yore)).toEqual(groups(restic));
    expect(yore.code).toBe(restic.code);
  });

  it.each([
    [["--keep-last", "2", "--group-by", "host", "--host", "h1"]],
    [["--keep-daily", "3", "--keep-within-weekly", "2m", "--keep-tag", "a,b", "--group-by", "", "--compact"]],
    [["--unsafe-allow-remove-all", "--host", "h2", "--group-by", ""]],
    [["latest"]],
    [["latest", "--json"]],
    [["--keep-last", "1", "--host", "nobody"]],
  ])("shows the same for %j, and a calendar", async (args) => {
    const { yore, restic } = await both(["forget", "--dry-run", ...args]);
    const lines = yore.stdout.split("\n");
    const from = lines.findIndex((line) => line.startsWith("kept by day"));
    const to = lines.indexOf("", from) + 1;
    expect([...lines.slice(0, from < 0 ? to : from), ...lines.slice(to)].join("\n")).toBe(restic.stdout);
    expect(yore.code).toBe(restic.code);
  });

  it.each([
    [[]],
    [["--json"]],
    [["--keep-last", "-1"]],
    [["--keep-within", "1x"]],
    [["--keep-within=-1d"]],
    [["--keep-tag", "nobody-has-it"]],
    [["--unsafe-allow-remove-all"]],
    [["--no-lock", "--keep-last", "1"]],
  ])("refuses %j as restic does, and removes nothing", async (args) => {
    const before = await readdir(join(folder, "repository/snapshots"));
    const { yore, restic } = await both(["forget", ...args]);
    expect(yore.code).toBe(restic.code);
    expect(yore.stdout.split("\n").slice(1)).toEqual(restic.stdout.split("\n").slice(1));
    expect(await readdir(join(folder, "repository/snapshots"))).toEqual(before);
  });

  it("shows with --prune --dry-run what prune would do without the snapshots", async () => {
    const { yore, restic } = await both([
      "forget",
      "--dry-run",
      "--keep-last",
      "1",
      "--group-by",
      "",
      "--prune",
    ]);
    const statistics = (result: RunResult) => result.stdout.slice(result.stdout.indexOf("Would have made"));
    expect(statistics(yore)).toContain("total prune:");
    expect(statistics(yore)).toBe(statistics(restic));
  });

  it.each([
    [["--keep-monthly", "2", "--keep-yearly", "unlimited"]],
    [["latest", "--json"]],
    [["--keep-last", "3", "--json"]],
    [["--keep-last", "1", "--group-by", "host", "--prune", "--max-unused", "0"]],
    [["--keep-last", "1", "--prune", "--json"]],
  ])("leaves the same snapshots with %j, and a repository that restic finds whole", async (args) => {
    const left: unknown[] = [];
    for (const run of [runYore, runRestic]) {
      const copy = await copyOfRepository(join(folder, "repository"));
      const options = { env: { ...env, RESTIC_REPOSITORY: copy } };
      const result = await run(["forget", "--no-cache", ...args], options);
      expect(result.code).toBe(0);
      const blobs = (await runRestic(["list", "blobs", "--no-cache"], options)).stdout.split("\n").sort();
      left.push([(await readdir(join(copy, "snapshots"))).sort(), blobs]);
      if (run === runYore && args.includes("--json") && result.stdout !== "") JSON.parse(result.stdout);
      expect((await runRestic(["check", "--no-cache", "--quiet"], options)).code).toBe(0);
    }
    expect(left[0]).toEqual(left[1]);
  });
});

/** Snapshots over three years, of several hosts, paths, tags and zones, often close together. */
async function addSnapshots(location: string): Promise<void> {
  const session = await openRepository(location, { password: "geheim" });
  try {
    const { repository } = session;
    const { id: _, summary: __, ...base } = (await listSnapshots(repository))[0]!;
    let seconds = Date.parse("2026-11-20T12:00:00Z") / 1000;
    let random = 7;
    const next = (below: number) => {
      random = (random * 48_271) % 2_147_483_647;
      return random % below;
    };
    for (let i = 0; i < 160; i++) {
      seconds -= [600, 5000, 40_000, 90_000, 700_000, 3_000_000][next(6)]! + next(600);
      await saveSnapshot(repository, {
        ...base,
        time: { seconds, nanoseconds: next(1_000_000_000), zoneMinutes: [0, 60, 120, -300][next(4)]! },
        hostname: ["h1", "h2", "<h&3>"][next(3)]!,
        tags: [[], ["a"], ["b", "a"], ["c"]][next(4)]!,
        paths: [["/data"], ["/z", "/a"]][next(2)]!,
      });
    }
  } finally {
    await session.close();
  }
}
