import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runForget } from "../../src/commands/forget.js";
import { runKeyAdd, runKeyPasswd, runKeyRemove } from "../../src/commands/key.js";
import { runTag } from "../../src/commands/tag.js";
import { KEEP_NOTHING } from "../../src/maintenance/forget-policy.js";
import { ANY_SNAPSHOT } from "../../src/mod.js";
import type { Repository } from "../../src/repository/repository.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { dieEverywhere } from "../support/dying-backend.js";
import { onCopies, resticSays, snapshotsAsStored } from "../support/interop.js";
import { missingPeer, runRestic, runYore } from "../support/run.js";
import { sessionOf } from "../support/session-of.js";
import { copyOfRepository, temporaryFolder } from "../support/temporary.js";

let folder: string;
let repository: string;
let env: Record<string, string>;

describe.skipIf(missingPeer("restic"))("tag, key and forget", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    repository = join(folder, "repository");
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: repository };
    await mkdir(join(folder, "files"));
    await writeFile(join(folder, "password"), "neu\n");
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(repository, "geheim");
    for (const [host, tags] of [
      ["h1", "a,b"],
      ["h1", ""],
      ["h2", "c"],
    ]) {
      await writeFile(join(folder, "files/file"), `${host} ${tags}`);
      await resticSays(env, ["backup", "-q", join(folder, "files"), "--host", host!, "--tag", tags!]);
    }
  }, 60_000);

  it.each([
    [["--add", "x"]],
    [["--add", "a, x", "--remove", "b", "--host", "h1"]],
    [["--set", "x,y", "--json"]],
    [["--set", ""]],
    [["--remove", "c", "--add", "d", "--tag", "c"]],
    [["--add", "x", "latest"]],
    [["--tag", "a", "--remove", "a"]],
    [["--tag", "a", "--add", "x,y", "--remove", "a"]],
    [["--tag", "a", "--add", "x,y", "--remove", "b,y,"]],
    [["--add", "x", "--host", "nobody", "--json"]],
    [[]],
    [["--set", "x", "--add", "y"]],
  ])("tag %j does the same", async (args) => {
    const { yore, restic } = await onCopies(repository, ["tag", ...args], { env });
    const shape = (text: string) => text.replace(/[0-9a-f]{64}/g, "ID").replace(/[0-9a-f]{8}/g, "ID");
    expect(shape(yore.result.stdout)).toBe(shape(restic.result.stdout));
    expect(yore.result.stderr).toBe(restic.result.stderr);
    expect(yore.result.code).toBe(restic.result.code);
    expect(await snapshotsAsStored(yore.env)).toEqual(await snapshotsAsStored(restic.env));
  });

  it("tag keeps the first ID as original, however often it changes", async () => {
    const { yore } = await onCopies(repository, ["tag", "--add", "x", "latest"], { env });
    await runYore(["tag", "--add", "y", "latest"], { env: yore.env });
    const before = JSON.parse(await resticSays(env, ["snapshots", "--json", "latest"])) as { id: string }[];
    const after = JSON.parse(await resticSays(yore.env, ["snapshots", "--json", "latest"])) as unknown[];
    expect(after).toMatchObject([{ original: before[0]!.id, tags: ["c", "x", "y"] }]);
  });

  it("key adds a key that restic opens, lists it as restic does, and removes it", async () => {
    const add = [
      "key",
      "add",
      "--user",
      "ada",
      "--host",
      "home",
      "--new-password-file",
      join(folder, "password"),
    ];
    const { yore } = await onCopies(repository, add, { env });
    const id = /saved new key with ID ([0-9a-f]{64})/.exec(yore.result.stdout)![1]!;
    const withNew = { ...yore.env, RESTIC_PASSWORD: "neu" };
    for (const args of [
      ["key", "list"],
      ["key", "list", "--json"],
    ]) {
      // restic loads them side by side and lists them as they come.
      const listed = async (run: typeof runYore) => {
        const { stdout } = await run([...args, "--no-cache"], { env: withNew });
        return stdout.startsWith("[")
          ? (JSON.parse(stdout) as unknown[]).map((one) => JSON.stringify(one)).sort()
          : stdout.split("\n").sort();
      };
      expect(await listed(runYore)).toEqual(await listed(runRestic));
    }
    expect((await runYore(["key", "remove", id.slice(0, 8)], { env: withNew })).stderr).toContain(
      "refusing to remove key",
    );
    expect((await runYore(["key", "remove", "zz"], { env: withNew })).code).toBe(1);
    expect((await runYore(["key", "remove", id.slice(0, 8)], { env: yore.env })).stdout).toBe(
      `removed key ${id}\n`,
    );
    expect((await runRestic(["snapshots", "--no-cache"], { env: withNew })).code).toBe(12);
    expect((await runRestic(["snapshots", "--no-cache"], { env: yore.env })).code).toBe(0);
  });

  it("key passwd puts a new password in the place of the old one", async () => {
    const { yore } = await onCopies(repository, ["key", "passwd"], { env, input: "neu\n" });
    expect(yore.result.code).toBe(0);
    expect((await runRestic(["snapshots", "--no-cache"], { env: yore.env })).code).toBe(12);
    const withNew = { ...yore.env, RESTIC_PASSWORD: "neu" };
    expect((await runRestic(["check", "--no-cache"], { env: withNew })).code).toBe(0);
    expect((await resticSays(withNew, ["list", "keys"])).split("\n")).toHaveLength(2);
  });

  it.each([
    [["key", "add", "--new-password-file", "a", "--new-insecure-no-password"], undefined],
    [["key", "add"], ""],
    [["key", "remove", "a", "b"], undefined],
    [["key", "list", "more"], undefined],
  ])("refuses %j", async (args, input) => {
    const { yore, restic } = await onCopies(repository, args, {
      env,
      ...(input === undefined ? {} : { input }),
    });
    expect(yore.result.code).toBe(restic.result.code);
    expect(yore.result.code).toBe(1);
  });

  it("leave a repository that restic checks, wherever they are killed", async () => {
    const change = { set: [], add: ["x"], remove: [] };
    const firstKeys = await readdir(join(repository, "keys"));
    // One more key than the one that is opened.
    const second = await copyOfRepository(repository);
    const adding = ["key", "add", "--new-password-file", join(folder, "password")];
    await resticSays({ ...env, RESTIC_REPOSITORY: second }, adding);
    const secondKey = (await readdir(join(second, "keys"))).find((name) => !firstKeys.includes(name))!;
    const works: ((opened: Repository) => Promise<unknown>)[] = [
      (opened) => runTag(sessionOf(opened), { names: [], filter: ANY_SNAPSHOT, change }),
      (opened) => runKeyPasswd(sessionOf(opened), "neu", {}),
      (opened) =>
        runForget(sessionOf(opened), {
          names: [],
          filter: ANY_SNAPSHOT,
          groupBy: { host: false, paths: false, tags: false },
          policy: { ...KEEP_NOTHING, counts: { ...KEEP_NOTHING.counts, last: 1 } },
          allowRemoveAll: false,
          dryRun: false,
        }),
      (opened) => runKeyAdd(sessionOf(opened), "neu", {}),
      (opened) => runKeyRemove(sessionOf(opened), secondKey),
    ];
    const trees = async (location: string, password: string) => {
      const at = { ...env, RESTIC_REPOSITORY: location, RESTIC_PASSWORD: password };
      const result = await runRestic(["check", "--no-cache", "--quiet"], { env: at });
      if (result.code !== 0) return undefined;
      const snapshots = JSON.parse(await resticSays(at, ["snapshots", "--json"])) as { tree: string }[];
      return new Set(snapshots.map(({ tree }) => tree)).size;
    };
    for (const [number, work] of works.entries()) {
      const changes = await dieEverywhere(number === 4 ? second : repository, work, async (location) => {
        const found = (await trees(location, "geheim")) ?? (await trees(location, "neu"));
        if (number === 2) expect(found).toBeGreaterThan(0);
        else expect(found).toBe(3);
      });
      expect(changes).toBeGreaterThan(number < 3 ? 1 : 0);
    }
  }, 120_000);
});
