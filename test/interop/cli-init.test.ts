import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { missingPeer, type PeerName, peer, run, runRestic, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let folder: string;
const env = { RESTIC_PASSWORD: "geheim" };

beforeAll(async () => {
  folder = await temporaryFolder();
});

async function config(
  repository: string,
): Promise<{ version: number; id: string; chunker_polynomial: string }> {
  const { stdout } = await runYore(["-r", repository, "cat", "config"], { env });
  return JSON.parse(stdout) as { version: number; id: string; chunker_polynomial: string };
}

describe.each(["restic", "restic-debian"] as const satisfies PeerName[])("%s", (name) => {
  describe.skipIf(missingPeer(name))("with a repository made by yore init", () => {
    it.each([
      ["1", 1],
      [name === "restic" ? "stable" : "latest", 2],
    ])("of version %s: checks it, writes to it, reads it", async (version, number) => {
      const repository = join(folder, `${name}-${version}`);
      const made = await runYore(["init", "-r", repository, "--repository-version", version], { env });
      const { id, version: stored } = await config(repository);
      expect(stored).toBe(number);
      expect(made).toMatchObject({ code: 0, stderr: "" });
      expect(made.stdout).toBe(
        `created restic repository ${id.slice(0, 10)} at ${repository}\n\n` +
          "Please note that knowledge of your password is required to access\n" +
          "the repository. Losing your password means that your data is\nirrecoverably lost.\n",
      );
      const restic = (...args: string[]) =>
        runRestic(["-r", repository, "--no-cache", ...args], { env, peer: name, cwd: folder });
      expect((await restic("check")).code).toBe(0);
      expect((await restic("backup", import.meta.filename)).code).toBe(0);
      expect((await runYore(["-r", repository, "ls", "latest"], { env })).stdout).toContain(
        "cli-init.test.ts",
      );
    });
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot || missingPeer("restic"))("a user whom the system does not know", () => {
  it.each(["restic", "yore"])("has no name in what %s init makes, whatever $USER says", async (program) => {
    const own = await temporaryFolder();
    // Another user must be able to get here.
    await chmod(dirname(own), 0o711);
    const number = 54321;
    await chown(own, number, number);
    const command = program === "yore" ? yoreCommand(["init"]) : `${peer("restic")} init`;
    const asNumber = ["--reuid", `${number}`, "--regid", `${number}`, "--clear-groups", "sh", "-c", command];
    const unknown = {
      ...env,
      RESTIC_REPOSITORY: join(own, "r"),
      USER: "ada",
      HOME: own,
      XDG_CACHE_HOME: own,
    };
    const made = await run("setpriv", asNumber, { env: unknown, cwd: own });
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const keys = await runYore(["-r", join(own, "r"), "key", "list", "--json"], { env });
    expect(JSON.parse(keys.stdout)).toMatchObject([{ userName: "" }]);
  });
});

describe("yore init", () => {
  it("says JSON when asked to, in restic's shape", async () => {
    const repository = join(folder, "json");
    const { stdout } = await runYore(["init", "-r", repository, "--json"], { env });
    expect(JSON.parse(stdout)).toEqual({
      message_type: "initialized",
      id: (await config(repository)).id,
      repository,
    });
  });

  it("says nothing with --quiet", async () => {
    expect(await runYore(["init", "-q", "-r", join(folder, "quiet")], { env })).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
  });

  it("refuses a place where there is a repository", async () => {
    const repository = join(folder, "twice");
    await runYore(["init", "-q", "-r", repository], { env });
    const again = await runYore(["init", "-r", repository], { env });
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("config file");
    expect(again.stdout).toBe("");
  });

  it("copies the chunker polynomial of another repository", async () => {
    const source = join(folder, "source");
    await runYore(["init", "-q", "-r", source], { env: { YORE_PASSWORD: "other" } });
    const { chunker_polynomial } = await config2(source);
    const copy = async (name: string, args: string[], more: Record<string, string>) => {
      const repository = join(folder, name);
      const result = await runYore(["init", "-q", "-r", repository, "--copy-chunker-params", ...args], {
        env: { ...env, ...more },
      });
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect((await config(repository)).chunker_polynomial).toBe(chunker_polynomial);
    };
    await copy("copy-1", ["--from-repo", source], { RESTIC_FROM_PASSWORD: "other" });
    await copy("copy-2", [], { YORE_FROM_REPOSITORY: source, YORE_FROM_PASSWORD: "other" });
    await copy("copy-3", [], { RESTIC_REPOSITORY2: source, RESTIC_PASSWORD_COMMAND2: "echo other" });

    const alone = await runYore(["init", "-r", join(folder, "alone"), "--from-repo", source], {
      env: { ...env, RESTIC_FROM_PASSWORD: "other" },
    });
    expect(alone.code).toBe(1);
    expect(existsSync(join(folder, "alone"))).toBe(false);
  });

  it.skipIf(missingPeer("restic"))("says in restic's words whose chunker parameters are used", async () => {
    const source = join(folder, "said-source");
    await runYore(["init", "-q", "-r", source], { env });
    const said = [runRestic, runYore].map(async (runIt, i) => {
      const args = ["init", "-r", join(folder, `said-${i}`), "--copy-chunker-params", "--from-repo", source];
      const { code, stdout } = await runIt(args, { env: { ...env, RESTIC_FROM_PASSWORD: "geheim" } });
      return { code, stdout: stdout.replace(/repository \w+ at .*/, "repository") };
    });
    const [theirs, ours] = await Promise.all(said);
    expect(ours).toEqual(theirs);
    expect(ours!.code).toBe(0);
  });

  async function config2(repository: string): Promise<{ chunker_polynomial: string }> {
    const { stdout } = await runYore(["-r", repository, "cat", "config"], {
      env: { YORE_PASSWORD: "other" },
    });
    return JSON.parse(stdout) as { chunker_polynomial: string };
  }

  it("makes the default repository, which later commands use when none is named", async () => {
    const home = join(folder, "home");
    await mkdir(home);
    const at = (more: Record<string, string> = {}) => ({ env: { ...env, HOME: home, ...more } });
    const before = await runYore(["snapshots"], at());
    expect(before.code).toBe(1);
    expect(before.stderr).toContain("yore init");
    expect((await runYore(["init"], at())).stdout).toContain(` at ${home}/.local/share/yore/repository\n`);
    expect((await runYore(["snapshots", "--json"], at())).stdout).toBe("[]\n");

    const data = join(folder, "data");
    expect((await runYore(["snapshots"], at({ XDG_DATA_HOME: data }))).code).toBe(1);
    await runYore(["init", "-q"], at({ XDG_DATA_HOME: data }));
    expect(existsSync(join(data, "yore/repository/config"))).toBe(true);
  });
});

describe("the repository", () => {
  it("is named by flag, by file or by variable; YORE_ beats RESTIC_, a flag beats both", async () => {
    const repository = join(folder, "named");
    await runYore(["init", "-q", "-r", repository], { env });
    await writeFile(join(folder, "location"), `\ufeff${repository}\n`);
    const opens = async (args: string[], more: Record<string, string>) =>
      (await runYore(["cat", "config", ...args], { env: { ...env, HOME: folder, ...more }, cwd: folder }))
        .code;
    expect(await opens(["-r", repository], { YORE_REPOSITORY: "nowhere" })).toBe(0);
    expect(await opens(["--repository-file", "location"], {})).toBe(0);
    expect(await opens([], { RESTIC_REPOSITORY: repository })).toBe(0);
    expect(await opens([], { RESTIC_REPOSITORY_FILE: "location" })).toBe(0);
    expect(await opens([], { RESTIC_REPOSITORY: "nowhere", YORE_REPOSITORY: repository })).toBe(0);
    expect(await opens([], { RESTIC_REPOSITORY: "nowhere", YORE_REPOSITORY_FILE: "location" })).toBe(0);
    expect(await opens([], { RESTIC_REPOSITORY: repository, YORE_REPOSITORY: "nowhere" })).toBe(10);
    expect(await opens([], { RESTIC_REPOSITORY: repository, RESTIC_REPOSITORY_FILE: "location" })).toBe(1);
  });

  it("is never the default one, or that of a variable, where an empty name is given", async () => {
    const home = join(folder, "home-of-default");
    await mkdir(home);
    const at = (more: Record<string, string> = {}) => ({ env: { ...env, HOME: home, ...more } });
    expect((await runYore(["init", "-q"], at())).code).toBe(0);
    const repository = join(home, ".local/share/yore/repository");
    for (const [args, more] of [
      [["-r", ""], {}],
      [["--repo="], { RESTIC_REPOSITORY: repository }],
      [["--repository-file", ""], {}],
      [[], { RESTIC_REPOSITORY: "" }],
      [[], { YORE_REPOSITORY_FILE: "" }],
    ] as const) {
      const { code, stderr } = await runYore(["snapshots", ...args], at(more));
      expect({ code, stderr }, args.join(" ")).toEqual({
        code: 1,
        stderr: expect.stringContaining("Please specify repository location"),
      });
    }
    expect((await runYore(["init", "-r", ""], at())).stderr).toContain("Please specify repository location");
    const copy = await runYore(
      ["copy", "-r", repository, "--from-repo", ""],
      at({ RESTIC_FROM_REPOSITORY: repository }),
    );
    expect(copy.stderr).toContain("Please specify a source repository location");
    expect((await runYore(["snapshots", "--json"], at())).stdout).toBe("[]\n");
  });

  it("may have a name that is not UTF-8, wherever it is named", async () => {
    const cwd = join(folder, "bytes");
    await mkdir(cwd);
    const yore = async (args: string, shell = "") =>
      await run("sh", ["-c", `N="$(printf 'r\\377')"; ${shell} ${yoreCommand([])} ${args}`], { env, cwd });
    expect(await yore('init -q -r "$N"')).toMatchObject({ code: 0, stderr: "" });
    expect(await readdir(cwd, "latin1")).toEqual(["r\xff"]);
    await writeFile(join(cwd, "location"), "r\xff\n", "latin1");
    for (const shell of ['RESTIC_REPOSITORY="$N"', 'YORE_REPOSITORY="$N"', "RESTIC_REPOSITORY_FILE=location"])
      expect(await yore("snapshots --json", shell), shell).toMatchObject({ code: 0, stdout: "[]\n" });
    expect((await yore("snapshots --repository-file location")).code).toBe(0);
  });
});
