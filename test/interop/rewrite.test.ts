import { link, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type RewriteOptions, runRewrite } from "../../src/commands/rewrite.js";
import { ANY_SNAPSHOT } from "../../src/mod.js";
import { parsePatterns } from "../../src/patterns/mod.js";
import type { Repository } from "../../src/repository/repository.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { onCopies, resticSays, snapshotsAsStored } from "../support/interop.js";
import { missingPeer, runRestic } from "../support/run.js";
import { sessionOf } from "../support/session-of.js";
import { temporaryFolder } from "../support/temporary.js";

let repository: string;
let env: Record<string, string>;

/** Snapshots in an order that does not depend on their IDs, which are new in every run. */
async function snapshots(at: Readonly<Record<string, string>>): Promise<string[]> {
  return (await snapshotsAsStored(at)).map((snapshot) => JSON.stringify(snapshot)).sort();
}

/** restic takes snapshots in a random order, and what it makes gets random IDs. */
function lines(text: string): string[] {
  return text
    .replace(/[0-9a-f]{8}/g, "ID")
    .split("\n")
    .sort();
}

describe.skipIf(missingPeer("restic"))("rewrite", () => {
  beforeAll(async () => {
    const folder = await temporaryFolder();
    repository = join(folder, "repository");
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: repository };
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(repository, "geheim");
    const files = join(folder, "files");
    await mkdir(join(files, "a/same"), { recursive: true });
    await mkdir(join(files, "b/same"), { recursive: true });
    await mkdir(join(files, "empty"));
    await writeFile(join(files, "a/same/secret.key"), "secret");
    await writeFile(join(files, "a/same/public"), "known");
    await link(join(files, "a/same/secret.key"), join(files, "linked"));
    await resticSays(env, ["backup", "-q", files, "--host", "h1", "--tag", "t"]);
    await writeFile(join(files, "b/KEEP.txt"), "kept");
    await resticSays(env, ["backup", "-q", files, "--host", "h2"]);
    // The same trees at other paths.
    await resticSays(env, ["backup", "-q", join(files, "a"), "--host", "h3"]);
  }, 60_000);

  it.each([
    [["--exclude", "*.key"]],
    [["--exclude", "*.key", "--forget"]],
    [["--exclude", "a/same", "--host", "h1"]],
    [["--exclude", "*", "--exclude", "!*same*"]],
    [["--iexclude", "keep.*", "latest"]],
    [["--exclude", "nothing"]],
    [["--include", "*.key"]],
    [["--include", "same", "--include", "empty", "--forget"]],
    [["--iinclude", "keep.txt", "--host", "h2"]],
    [["--include", "nothing", "--forget"]],
    [["--new-host", "other", "--new-time", "2020-01-02 03:04:05"]],
    [["--new-host", "other", "--forget", "--tag", "t"]],
    [["--snapshot-summary"]],
    [["--exclude", "*.key", "--dry-run"]],
    [["--exclude", "*.key", "--dry-run", "--forget", "--new-host", "q", "--new-time", "2020-01-02 03:04:05"]],
    [["nope", "--exclude", "x"]],
    [[]],
    [["--exclude", "x", "--include", "y"]],
    // A file without patterns says that nothing is meant, and not that nothing was said.
    [["--exclude-file", "/dev/null"]],
    [["--include-file", "/dev/null", "--forget"]],
    [["--exclude-file", "/dev/null", "--include-file", "/dev/null"]],
    [["--new-time", "soon"]],
  ])("makes the same snapshots with %j", async (args) => {
    const { yore, restic } = await onCopies(repository, ["rewrite", ...args], { env });
    expect(yore.result.code).toBe(restic.result.code);
    if (restic.result.code === 0) expect(lines(yore.result.stdout)).toEqual(lines(restic.result.stdout));
    expect(await snapshots(yore.env)).toEqual(await snapshots(restic.env));
    const check = await runRestic(["check", "--no-cache", "--read-data"], { env: yore.env });
    expect(check.code).toBe(0);
  });

  it("prints only JSON with --json", async () => {
    const { yore } = await onCopies(repository, ["rewrite", "--exclude", "*.key", "--forget", "--json"], {
      env,
    });
    const messages = yore.result.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { message_type: string });
    const types = messages.map(({ message_type }) => message_type);
    // How often the progress is told depends on how long it takes.
    expect(types.filter((type) => type !== "status")).toEqual(["changed", "changed", "changed", "summary"]);
  });

  it("leaves a repository that restic checks, wherever it is killed, and every snapshot once in some form", async () => {
    const options: RewriteOptions = {
      excludes: [parsePatterns(["*.key"])],
      includes: [],
      forget: true,
      dryRun: false,
      countFiles: false,
    };
    const work = (opened: Repository) => {
      return runRewrite(sessionOf(opened), { ...options, names: [], filter: ANY_SNAPSHOT }, {});
    };
    const changes = await dieEverywhere(repository, work, async (location) => {
      const at = { ...env, RESTIC_REPOSITORY: location };
      await resticSays(at, ["check", "--quiet", "--read-data"]);
      const left = JSON.parse(await resticSays(at, ["snapshots", "--json"])) as { hostname: string }[];
      expect([...new Set(left.map(({ hostname }) => hostname))].sort()).toEqual(["h1", "h2", "h3"]);
    });
    expect(changes).toBeGreaterThan(6);
  }, 120_000);
});
