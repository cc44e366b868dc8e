import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepDeleted, listDeleted } from "../../src/server/deleted-files.js";
import type { ServeOptions } from "../../src/server/server.js";
import { startYoreServer } from "../support/rest-servers.js";
import { peer, run, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

const nameOf = (text: string) => createHash("sha256").update(text).digest("hex");
const DAY_MS = 86_400_000;

describe("what clients delete from yore serve", () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => server.stop());

  async function start(options: Partial<ServeOptions>): Promise<void> {
    server = await startYoreServer(folder, { metrics: "open", ...options });
  }

  const status = async (method: string, path: string, body?: string) =>
    (await ask(server.url, method, path, body === undefined ? {} : { body })).status;

  async function upload(repository: string, type: string, content: string): Promise<string> {
    const path = `${repository}/${type}/${nameOf(content)}`;
    expect(await status("POST", path, content)).toBe(200);
    return path;
  }

  const kept = (repository: string) => {
    const top = join(folder, repository, ".yore-deleted");
    if (!existsSync(top)) return [];
    return readdirSync(top, { recursive: true, encoding: "utf8" }).filter((name) =>
      statSync(join(top, name)).isFile(),
    );
  };

  async function metric(name: string): Promise<string[]> {
    const { text } = await ask(server.url, "GET", "/metrics");
    return text.split("\n").filter((line) => line.startsWith(name));
  }

  const undelete = (...args: string[]) => runYore(["undelete", ...args]);

  it("is gone for them, and comes back as it was", async () => {
    await start({ keepDeletedMs: DAY_MS });
    await status("POST", "/ada/laptop/?create=true");
    const paths = [
      await upload("/ada/laptop", "data", "a pack"),
      await upload("/ada/laptop", "snapshots", "a snapshot"),
    ];
    paths.push("/ada/laptop/config");
    expect(await status("POST", "/ada/laptop/config", "a config")).toBe(200);
    for (const path of paths) expect(await status("DELETE", path)).toBe(200);
    for (const path of paths) expect(await status("HEAD", path)).toBe(404);
    expect((await ask(server.url, "GET", "/ada/laptop/data/")).text).toBe("[]");
    for (const path of paths) expect(await status("DELETE", path)).toBe(200);

    const before = await undelete(join(folder, "ada/laptop"), "--dry-run");
    expect(before.stderr).toBe("");
    expect(before.stdout).toMatch(
      /\n20\S+ \d\d:\d\d +1 +0 +1 +0 +1 +24 B\n[\s\S]*3 files \(24 B\) can be brought back\n/,
    );
    expect(await status("HEAD", paths[0]!)).toBe(404);
    expect((await undelete(join(folder, "ada/laptop"))).stdout).toContain("3 files (24 B) are back\n");
    for (const [i, content] of ["a pack", "a snapshot", "a config"].entries())
      expect((await ask(server.url, "GET", paths[i]!)).text).toBe(content);
    expect(kept("ada/laptop")).toEqual([]);
    expect((await undelete(join(folder, "ada/laptop"))).stdout).toMatch(/^Nothing that was deleted is kept/);
  });

  it("does not hold locks, and nothing where no rule says so", async () => {
    writeFileSync(join(folder, "policy.toml"), '[repositories.other]\nkeep-deleted = "0d"\n');
    await start({ keepDeletedMs: DAY_MS, policyFile: join(folder, "policy.toml") });
    for (const repository of ["repo", "other"]) {
      await status("POST", `/${repository}/?create=true`);
      for (const type of ["locks", "data"])
        expect(await status("DELETE", await upload(`/${repository}`, type, "content"))).toBe(200);
    }
    expect(kept("repo").map((name) => name.split("/")[0])).toEqual(["data"]);
    expect(kept("other")).toEqual([]);
    await server.stop();
    await start({});
    expect(await status("DELETE", await upload("/repo", "data", "another"))).toBe(200);
    expect(kept("repo").length).toBe(1);
  });

  it("leaves a file alone that was saved again", async () => {
    await start({ keepDeletedMs: DAY_MS });
    await status("POST", "/repo/?create=true");
    const path = await upload("/repo", "keys", "key");
    await status("DELETE", path);
    await upload("/repo", "keys", "key");
    const { stdout } = await undelete(join(folder, "repo"), "--json");
    expect(JSON.parse(stdout)).toMatchObject({ files: 0, already_there: 1 });
    expect((await ask(server.url, "GET", path)).text).toBe("key");
    expect(kept("repo").length).toBe(1);
  });

  it("puts a config in the place of what somebody saved instead of it", async () => {
    await start({ keepDeletedMs: DAY_MS });
    await status("POST", "/repo/?create=true");
    expect(await status("POST", "/repo/config", "the config")).toBe(200);
    expect(await status("DELETE", "/repo/config")).toBe(200);
    expect(await status("POST", "/repo/config", "not the config")).toBe(200);
    expect((await undelete(join(folder, "repo"))).stdout).toContain("1 files (10 B) are back");
    expect((await ask(server.url, "GET", "/repo/config")).text).toBe("the config");
    const [other, ...more] = kept("repo");
    expect(more).toEqual([]);
    expect(readFileSync(join(folder, "repo/.yore-deleted", other!), "utf8")).toBe("not the config");
  });

  it("has the config of before all that were saved instead of it, however often it is brought back", async () => {
    await start({ keepDeletedMs: DAY_MS });
    await status("POST", "/repo/?create=true");
    expect(await status("POST", "/repo/config", "the config")).toBe(200);
    utimesSync(join(folder, "repo/config"), 1, 1);
    for (const other of ["another", "yet another"]) {
      expect(await status("DELETE", "/repo/config")).toBe(200);
      expect(await status("POST", "/repo/config", other)).toBe(200);
    }
    for (const _ of ["once", "again"]) {
      expect((await undelete(join(folder, "repo"))).code).toBe(0);
      expect((await ask(server.url, "GET", "/repo/config")).text).toBe("the config");
    }
    expect(kept("repo").length).toBe(2);
  });

  it("comes back once when two bring it back at a time", async () => {
    await start({});
    await status("POST", "/repo/?create=true");
    const deleted = join(folder, "repo/.yore-deleted/data");
    mkdirSync(deleted, { recursive: true });
    const contents = Array.from({ length: 5000 }, (_, i) => `pack ${i}`);
    for (const content of contents)
      writeFileSync(join(deleted, `${nameOf(content)}.2026-01-05T08-00-00.000Z`), content);
    const both = await Promise.all([1, 2].map(() => undelete(join(folder, "repo"), "--json")));
    expect(both.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ""],
      [0, ""],
    ]);
    const files = both.map(({ stdout }) => (JSON.parse(stdout) as { files: number }).files);
    expect(files[0]! + files[1]!).toBe(contents.length);
    expect(kept("repo")).toEqual([]);
    const listed = JSON.parse((await ask(server.url, "GET", "/repo/data/")).text) as string[];
    expect(new Set(listed)).toEqual(new Set(contents.map(nameOf)));
  });

  it("can be chosen by time", async () => {
    await start({});
    await status("POST", "/repo/?create=true");
    const deleted = join(folder, "repo/.yore-deleted/index");
    mkdirSync(deleted, { recursive: true });
    const stamps = ["2026-01-05T08-00-00.000Z", "2026-01-05T09-00-00.000Z", "2026-01-06T10-00-00.000Z"];
    for (const stamp of stamps) writeFileSync(join(deleted, `${nameOf(stamp)}.${stamp}`), stamp);
    writeFileSync(join(deleted, "notes.txt"), "nobody's business");
    const window = ["--since", "2026-01-05 08:30:00 +0000", "--until", "2026-01-05 09:00:00 +0000"];
    const { stdout } = await undelete(join(folder, "repo"), "--json", ...window);
    const [line] = stdout.split("\n");
    expect(JSON.parse(line!)).toMatchObject({
      files: 1,
      deletions: [{ minute: "2026-01-05T09:00:00.000Z", index: 1 }],
    });
    expect(JSON.parse((await ask(server.url, "GET", "/repo/index/")).text)).toEqual([nameOf(stamps[1]!)]);
    expect(kept("repo").length).toBe(3);
  });

  it("is never reached by a request", async () => {
    await start({ keepDeletedMs: DAY_MS });
    for (const repository of ["/", "/repo/"]) {
      await status("POST", `${repository}?create=true`);
      await status("DELETE", await upload(repository.slice(0, -1), "data", `of ${repository}`));
    }
    for (const repository of ["/", "/repo/"]) {
      const top = `${repository}.yore-deleted/`;
      expect(await status("POST", `${top}?create=true`)).toBe(404);
      for (const path of [
        `${top}data/`,
        `${top}data/${nameOf("of /")}`,
        `${top}config`,
        `${repository}%2eyore-deleted/data/`,
      ])
        expect([path, await status("GET", path)]).toEqual([path, 404]);
    }
    expect(await metric("yore_server_repository_deleted_bytes{")).toEqual([
      'yore_server_repository_deleted_bytes{repo=""} 4',
      'yore_server_repository_deleted_bytes{repo="repo"} 9',
    ]);
  });

  it("counts for the quota as long as it is there, also after a restart", async () => {
    const options = { keepDeletedMs: DAY_MS, maxSize: 25 };
    await start(options);
    await status("POST", "/repo/?create=true");
    await status("DELETE", await upload("/repo", "data", "0123456789"));
    await upload("/repo", "data", "abcdefghij");
    const path = `/repo/data/${nameOf("klmnopqrst")}`;
    expect(await status("POST", path, "klmnopqrst")).toBe(507);
    await server.stop();
    await start(options);
    expect(await status("POST", path, "klmnopqrst")).toBe(507);
    expect(await metric("yore_server_repository_bytes{")).toEqual([
      'yore_server_repository_bytes{repo="repo"} 10',
    ]);
  });

  it("goes when its time is over, but not when its rule got lost", async () => {
    const policyFile = join(folder, "policy.toml");
    writeFileSync(policyFile, '[repositories."ada/laptop"]\nkeep-deleted = "1s"\n');
    const options = { policyFile, purgeEachMs: 20 };
    await start(options);
    for (const repository of ["ada/laptop", "bob"]) await status("POST", `/${repository}/?create=true`);
    const old = `${nameOf("old")}.2026-01-01T00-00-00.000Z`;
    mkdirSync(join(folder, "bob/.yore-deleted/data"), { recursive: true });
    writeFileSync(join(folder, "bob/.yore-deleted/data", old), "old");
    await server.stop();
    await start(options);
    await status("DELETE", await upload("/ada/laptop", "data", "a pack"));
    expect(kept("ada/laptop").length).toBe(1);
    await expect.poll(() => kept("ada/laptop").length, { timeout: 10_000 }).toBe(0);
    // Told when the folder is done with, a moment later.
    await expect
      .poll(() => server.log, { timeout: 10_000 })
      .toContain('removed 1 deleted files of "ada/laptop" whose time is over');
    expect(await metric("yore_server_repository_deleted_bytes{")).toEqual([
      'yore_server_repository_deleted_bytes{repo="ada/laptop"} 0',
      'yore_server_repository_deleted_bytes{repo="bob"} 3',
    ]);
    expect(kept("bob")).toEqual([join("data", old)]);
    appendFileSync(policyFile, '[users.bob]\nkeep-deleted = "30d"\n');
    await server.reload();
    await expect.poll(() => kept("bob").length, { timeout: 10_000 }).toBe(0);
  });

  it("brings a repository back that restic emptied, and restic finds it whole", async () => {
    await start({ keepDeletedMs: DAY_MS });
    const source = join(folder, "source");
    mkdirSync(source);
    for (let i = 0; i < 20; i++) writeFileSync(join(source, `${i}`), `${i} `.repeat(20_000));
    const env = { RESTIC_REPOSITORY: `rest:${server.url}repo/`, RESTIC_PASSWORD: "secret" };
    const restic = async (...args: string[]) => {
      const result = await run(peer("restic")!, [...args, "--no-cache"], { env });
      expect([args, result.code, result.stderr]).toEqual([args, 0, expect.any(String)]);
      return result.stdout;
    };
    await restic("init");
    for (let i = 0; i < 3; i++) {
      appendFileSync(join(source, "0"), `change ${i}`);
      await restic("backup", source);
    }
    const snapshots = await restic("snapshots", "--json");
    await restic("forget", "--keep-last", "1", "--prune", "--max-unused", "0");
    await restic("forget", "--unsafe-allow-remove-all", "--tag", "", "--prune");
    expect(JSON.parse(await restic("snapshots", "--json"))).toEqual([]);
    const { stdout } = await undelete(join(folder, "repo"));
    expect(stdout).toMatch(/ files \(.* are back\n/);
    expect(JSON.parse(await restic("snapshots", "--json"))).toEqual(JSON.parse(snapshots));
    await restic("check", "--read-data");
    await restic("restore", "latest", "--target", join(folder, "target"));
    expect(readFileSync(join(folder, "target", source, "0"))).toEqual(readFileSync(join(source, "0")));
  });

  it("says so when a folder is no repository, or a time is none", async () => {
    await start({});
    const missing = await undelete(folder);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`Cannot find a repository in "${folder}"`);
    const time = await undelete(folder, "--since", "yesterday");
    expect(time.code).toBe(1);
    expect(time.stderr).toContain('Cannot read time "yesterday"');
    const flag = await runYore(["serve", "--path", folder, "--keep-deleted", "1w"]);
    expect(flag.code).toBe(1);
    expect(flag.stderr).toContain('Cannot read time "1w"');
  });
});

describe("keepDeleted", () => {
  it("keeps both configs that were deleted in the same millisecond", async () => {
    const repository = await temporaryFolder();
    const nowMs = Date.now();
    for (const content of ["the config", "not the config"]) {
      writeFileSync(join(repository, "config"), content);
      await keepDeleted(repository, { type: "config", name: "" }, nowMs, 0o700);
    }
    const contents: string[] = [];
    for await (const files of listDeleted(repository))
      contents.push(...files.map(({ path }) => readFileSync(path, "utf8")));
    expect(contents).toEqual(["the config", "not the config"]);
  });
});
