import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type RestServer,
  startRcloneServer,
  startRestServer,
  startYoreServer,
} from "../support/rest-servers.js";
import { missingPeer, type RunResult, runRestic, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

type Run = (...args: string[]) => Promise<RunResult>;

/** Clients and servers of restic's REST protocol, each with each. */
describe.skipIf(missingPeer("restic"))("repositories behind HTTP", () => {
  let folder: string;
  let server: RestServer;
  let env: Record<string, string>;

  beforeEach(async () => {
    folder = await temporaryFolder();
    mkdirSync(join(folder, "served"));
  });

  afterEach(() => server.stop());

  function use(started: RestServer, path: string): void {
    server = started;
    env = {
      RESTIC_PASSWORD: "x",
      RESTIC_REPOSITORY: `rest:${server.url}${path}`,
      RESTIC_CACHE_DIR: join(folder, "cache"),
    };
  }

  const yore: Run = (...args) => runYore(args, { env });
  const restic: Run = (...args) => runRestic(args, { env });
  const debian: Run = (...args) => runRestic(args, { env, peer: "restic-debian" });

  /** Files of which a part is new in each round, so that a prune has something to repack. */
  function writeSource(round: number): string {
    const source = join(folder, "source");
    mkdirSync(source, { recursive: true });
    for (let i = 0; i < 12; i++)
      if (round === 0 || i % 3 === round % 3)
        writeFileSync(join(source, `file${i}`), randomBytes(30_000 * i));
    return source;
  }

  async function succeeds(run: Run, ...args: string[]): Promise<void> {
    const { code, stderr } = await run(...args);
    expect({ code, stderr: code === 0 ? "" : stderr }, args.join(" ")).toEqual({ code: 0, stderr: "" });
  }

  /** Backs up, restores, checks, prunes, and lets the judge look at the outcome. */
  async function useAsPeopleDo(run: Run, round: number, judge: Run): Promise<void> {
    const source = writeSource(round);
    await succeeds(run, "backup", source);
    const target = await temporaryFolder();
    await succeeds(run, "restore", "latest", "--target", target);
    execFileSync("diff", ["-r", source, join(target, source)]);
    await succeeds(run, "check", "--read-data");
    await succeeds(run, "forget", "--keep-last", "1", "--prune", "--max-unused", "0");
    await succeeds(judge, "check", "--read-data");
  }

  it.each([
    ["rest-server", startRestServer, "a/b/"],
    ["rclone", startRcloneServer, ""],
  ] as const)("yore uses what %s serves", async (name, start, path) => {
    if (missingPeer(name)) return;
    use(await start(join(folder, "served")), path);
    await succeeds(yore, "init");
    for (const round of [0, 1]) await useAsPeopleDo(yore, round, restic);
    await succeeds(yore, "unlock");
  });

  it("restic, Debian's restic and yore take turns at yore serve", async () => {
    use(await startYoreServer(join(folder, "served")), "a/b/");
    const programs = missingPeer("restic-debian") ? [yore, restic] : [yore, restic, debian];
    await succeeds(restic, "init", "--repository-version", "2");
    for (let round = 0; round < programs.length; round++)
      await useAsPeopleDo(programs[round]!, round, programs[(round + 1) % programs.length]!);
  });

  it.each(["restic", "yore"] as const)("%s leaves a cache that the other one uses", async (first) => {
    const lines: string[] = [];
    use(await startYoreServer(join(folder, "served"), { accessLog: (line) => lines.push(line) }), "repo/");
    await succeeds(restic, "init");
    await succeeds(restic, "backup", writeSource(0));
    env["RESTIC_CACHE_DIR"] = join(folder, "empty-cache");
    const loaded = () =>
      lines.splice(0).filter((line) => /"GET \/repo\/(data|index|snapshots)\/[0-9a-f]{64} /.test(line));
    loaded();
    const [one, other] = first === "restic" ? [restic, yore] : [yore, restic];
    const listing = await one("ls", "--long", "latest");
    expect(loaded().length).toBeGreaterThan(0);
    const again = await other("ls", "--long", "latest");
    expect(loaded()).toEqual([]);
    const paths = (result: RunResult) => result.stdout.split("\n").filter((line) => line.includes("/file"));
    expect(paths(again)).toEqual(paths(listing));
    expect(paths(again).length).toBe(12);
  });

  it("check reads each pack of trees once, into a cache that is gone afterwards", async () => {
    const lines: string[] = [];
    use(await startYoreServer(join(folder, "served"), { accessLog: (line) => lines.push(line) }), "repo/");
    await succeeds(restic, "init");
    for (let round = 0; round < 4; round++) await succeeds(restic, "backup", writeSource(round));
    lines.length = 0;
    const temporary = join(folder, "temporary");
    mkdirSync(temporary);
    env["TMPDIR"] = temporary;
    const whole = await yore("check");
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining("no errors were found") });
    expect(whole.stdout).toContain(`using temporary cache in ${temporary}/`);
    expect(readdirSync(temporary)).toEqual([]);
    const packs = lines.flatMap((line) => /"GET \/repo\/data\/([0-9a-f]{64}) /.exec(line)?.[1] ?? []);
    expect(packs.length).toBe(4);
    expect(new Set(packs).size).toBe(4);
    // Damage of the repository is found, whatever is in the cache that others use.
    const path = join(folder, "served/repo/data", packs[0]!.slice(0, 2), packs[0]!);
    chmodSync(path, 0o600);
    const bytes = readFileSync(path);
    bytes[10]! ^= 1;
    writeFileSync(path, bytes);
    expect(await yore("check")).toMatchObject({ code: 1, stderr: expect.stringContaining("error") });
    expect(readdirSync(temporary)).toEqual([]);
  });

  it("check does without a temporary cache where none can be made, or none is wanted", async () => {
    use(await startYoreServer(join(folder, "served")), "repo/");
    await succeeds(yore, "init");
    await succeeds(yore, "backup", writeSource(0));
    env["TMPDIR"] = join(folder, "missing");
    expect(await yore("check")).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("Cannot make a temporary cache"),
    });
    expect(await yore("check", "--no-cache")).toMatchObject({ code: 0, stderr: "" });
  });

  it("yore says so when it cannot use its cache, in restic's words, and does without", async () => {
    use(await startYoreServer(join(folder, "served")), "repo/");
    await succeeds(yore, "init");
    writeFileSync(join(folder, "file"), "");
    env["RESTIC_CACHE_DIR"] = join(folder, "file");
    const stderr = expect.stringMatching(/^unable to open cache: /);
    expect(await yore("snapshots")).toMatchObject({ code: 0, stderr });
    expect(await restic("snapshots")).toMatchObject({ stderr });
  });
});
