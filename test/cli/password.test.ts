import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, peer, run, runInTerminal, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const PASSWORD = "gehéim wört";

let folder: string;
let repository: string;
const CAT = ["cat", "config"];

beforeAll(async () => {
  folder = await temporaryFolder();
  repository = join(folder, "repository");
  await createRepository(repository, { password: PASSWORD });
  await makeKeyCheap(repository, PASSWORD);
});

function open(args: readonly string[], env: Record<string, string> = {}, input?: string) {
  return runYore([...CAT, "-r", repository, ...args], { env, cwd: folder, ...(input ? { input } : {}) });
}

describe("the password", () => {
  it.each([
    ["a file", `${PASSWORD}\n`],
    ["a file with a byte order mark and spaces", `\ufeff  ${PASSWORD} \r\n`],
  ])("is read from %s", async (_, content) => {
    await writeFile(join(folder, "password"), content);
    expect((await open(["-p", "password"])).code).toBe(0);
    expect((await open([], { RESTIC_PASSWORD_FILE: "password" })).code).toBe(0);
  });

  it("is read from a file in UTF-16, either way round", async () => {
    const little = Buffer.from(`\ufeff${PASSWORD}\n`, "utf16le");
    await writeFile(join(folder, "little"), little);
    await writeFile(join(folder, "big"), Buffer.from(little).swap16());
    expect((await open(["-p", "little"])).code).toBe(0);
    expect((await open(["-p", "big"])).code).toBe(0);
  });

  it("is what a command prints, split without a shell", async () => {
    expect((await open(["--password-command", `printf '%s\\n' "${PASSWORD}"`])).code).toBe(0);
    expect(
      await open([], { YORE_PASSWORD_COMMAND: `sh -c "echo asking >&2; echo '${PASSWORD}'"` }),
    ).toMatchObject({
      code: 0,
      stderr: "asking\n",
    });
  });

  it.each([
    ["false", "it ended with status 1"],
    ["no-such-program", "ENOENT"],
    [`"open`, "a quote is not closed"],
  ])("cannot come from the command %s", async (command, reason) => {
    const { code, stderr } = await open(["--password-command", command]);
    expect(code).toBe(1);
    expect(stderr).toContain(reason);
  });

  it("comes from the environment, and YORE_PASSWORD wins", async () => {
    expect((await open([], { RESTIC_PASSWORD: PASSWORD })).code).toBe(0);
    expect((await open([], { RESTIC_PASSWORD: "wrong", YORE_PASSWORD: PASSWORD })).code).toBe(0);
    expect((await open([], { RESTIC_PASSWORD_FILE: "nowhere", YORE_PASSWORD: PASSWORD })).code).toBe(0);
    expect((await open([], { RESTIC_PASSWORD: PASSWORD, YORE_PASSWORD: "wrong" })).code).toBe(12);
  });

  it("is the first line of standard input otherwise", async () => {
    expect((await open([], {}, `${PASSWORD}\nmore\n`)).code).toBe(0);
    expect((await open([], {}, PASSWORD)).code).toBe(0);
    const empty = await open([]);
    expect(empty.code).toBe(1);
    expect(empty.stderr).toContain("--insecure-no-password");
  });

  it("is refused when it is missing, or given although there is none", async () => {
    expect((await open(["-p", "nowhere"])).stderr).toContain("does not exist");
    expect((await open(["--insecure-no-password"])).code).toBe(12);
    expect((await open(["--insecure-no-password"], { YORE_PASSWORD: "x" })).code).toBe(1);
  });

  it("may be empty when the flag says so", async () => {
    const bare = join(folder, "bare");
    expect((await runYore(["init", "-q", "-r", bare, "--insecure-no-password"])).code).toBe(0);
    expect((await runYore(["cat", "config", "-r", bare, "--insecure-no-password"])).code).toBe(0);
    expect((await runYore(["cat", "config", "-r", bare])).code).toBe(1);
  });
});

describe("a password that is no UTF-8", () => {
  const LATIN_1 = Buffer.from("  caf\xe9\xa0", "latin1");
  let latin1: string;

  beforeAll(async () => {
    latin1 = join(folder, "latin1");
    const password = LATIN_1.subarray(2);
    await createRepository(latin1, { password });
    await makeKeyCheap(latin1, password);
    await writeFile(join(folder, "bytes"), Buffer.concat([LATIN_1, Buffer.from("\r\n")]));
    await writeFile(join(folder, "line"), Buffer.concat([password, Buffer.from("\r\n")]));
  });

  const FROM = [
    ["a file", "-p bytes", ""],
    ["a command", String.raw`--password-command "printf '  caf\351\240\n'"`, ""],
    ["the environment", "", String.raw`RESTIC_PASSWORD="$(printf 'caf\351\240')"`],
    [
      "a file named so",
      "",
      String.raw`cp bytes "$(printf 'n\377')"; RESTIC_PASSWORD_FILE="$(printf 'n\377')"`,
    ],
    [
      "a command named so",
      "",
      String.raw`cp bytes "$(printf 'n\377')"; RESTIC_PASSWORD_COMMAND="$(printf 'cat n\377')"`,
    ],
    [
      "the flag of such a command",
      String.raw`--password-command "$(printf 'cat n\377')"`,
      String.raw`cp bytes "$(printf 'n\377')";`,
    ],
    ["standard input", "", "cat line |"],
  ] as const;

  it.each(FROM)("comes as it is from %s", async (_, flags, before) => {
    const line = `${before} ${yoreCommand([...CAT, "-r", latin1])} ${flags}`;
    expect(await run("sh", ["-c", line], { cwd: folder })).toMatchObject({ code: 0, stderr: "" });
  });

  it.skipIf(missingPeer("restic")).each(FROM)("comes so to restic from %s", async (_, flags, before) => {
    const line = `${before} ${peer("restic")} cat config -r ${latin1} --no-cache ${flags}`;
    expect(await run("sh", ["-c", line], { cwd: folder })).toMatchObject({ code: 0 });
  });

  it("is a new one as well", async () => {
    await writeFile(join(folder, "new"), Buffer.from([0xff, 0x80, 0x81]));
    const flags = ["-r", latin1, "--new-password-file", "new"];
    expect(await runYore(["key", "add", "-p", "bytes", ...flags], { cwd: folder })).toMatchObject({
      code: 0,
    });
    expect(await runYore([...CAT, "-r", latin1, "-p", "new"], { cwd: folder })).toMatchObject({ code: 0 });
  });
});

/** Types each line when the program asks for it; `script` gives it a terminal. */
async function typing(args: readonly string[], lines: readonly string[]) {
  const answers = lines.map((line) => `printf '${line}\\r'`).join("; sleep 0.7; ");
  return runInTerminal(yoreCommand(args), { cwd: folder, typed: `sleep 1; ${answers}; sleep 1` });
}

describe("the prompt", () => {
  it("asks again after a wrong password, and shows nothing of what is typed", async () => {
    const { code, stdout } = await typing([...CAT, "-r", repository], ["wrong", PASSWORD]);
    expect(stdout).toContain("wrong password or no key found. Try again");
    expect(stdout).toContain('"version": 2');
    expect(stdout).not.toContain(PASSWORD);
    expect(code).toBe(0);
  });
});
