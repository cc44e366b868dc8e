import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { missingProgram, run, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const ENV = { HOME: "/nowhere", TERM: "xterm", LC_ALL: "C.UTF-8" };

let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder, "man"));
  await writeFile(join(folder, "secret file"), "");
  const flags = ["bash", "zsh", "fish", "powershell"].flatMap((shell) => [
    `--${shell}-completion`,
    join(folder, `yore.${shell}`),
  ]);
  const result = await runYore(["generate", ...flags, "--man", join(folder, "man"), "--json"]);
  expect(result.stderr).toBe("");
  const lines = result.stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).type)).toEqual(["man", "bash", "fish", "powershell", "zsh"]);
});

/** What is typed, and some of what must be offered, and of what must not. */
const CASES: readonly (readonly [typed: string, offered: readonly string[], never: readonly string[]])[] = [
  ["yore sna", ["snapshots"], ["stats"]],
  ["yore --repo /x key ", ["add", "list", "passwd", "remove"], ["backup"]],
  ["yore -r /x key add --new", ["--new-password-file"], ["--host"]],
  ["yore snapshots --js", ["--json"], []],
  ["yore ls --sort ", ["name", "size", "extension"], ["latest"]],
  ["yore ls l", ["latest"], []],
  ["yore list pa", ["packs"], ["locks"]],
  ["yore --compression ", ["auto", "fastest"], ["backup"]],
];

describe("bash completion", () => {
  async function complete(typed: string): Promise<string[]> {
    const script = `source "$1"; cd "$2"; COMP_WORDS=($3); [[ $3 != *" " ]] || COMP_WORDS+=("");
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _yore; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const args = ["--norc", "-c", script, "bash", join(folder, "yore.bash"), folder, typed];
    const { stdout, stderr } = await run("bash", args, { env: ENV });
    expect(stderr).toBe("");
    return stdout.split("\n").filter((line) => line !== "");
  }

  it.each(CASES)("after %j offers %j, not %j", async (typed, offered, never) => {
    const words = await complete(typed);
    expect(words).toEqual(expect.arrayContaining([...offered]));
    for (const word of never) expect(words).not.toContain(word);
  });

  it("splits at = as bash does, and offers files with spaces whole", async () => {
    expect(await complete("yore ls --sort = na")).toEqual(["name"]);
    expect(await complete("yore backup --exclude-file = sec")).toEqual(["secret file"]);
    expect(await complete("yore backup --tag ")).toEqual([]);
  });

  it("is what bash calls when the key is pressed", async () => {
    const script = `source "$1"; complete -p yore`;
    const { stdout } = await run("bash", ["--norc", "-c", script, "bash", join(folder, "yore.bash")]);
    expect(stdout).toContain("-F _yore yore");
  });
});

describe.skipIf(missingProgram("zsh"))("zsh completion", () => {
  // A zsh in a terminal of its own is typed into. Every candidate passes through compadd, which prints them here.
  const SETUP = `
    PS1=
    autoload -Uz compinit
    compinit -u -D
    source "$1"
    cd "$2"
    compadd() {
      if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
      local -a hits
      builtin compadd -A hits "$@"
      local hit
      for hit in $hits; do print -r -- "<$hit>"; done
    }
    finish() { print -r -- DO""NE; }
    press() { comppostfuncs=(finish); zle complete-word; }
    zle -N press
    bindkey '^I' press
    print -r -- REA""DY`;
  const ASK = `
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z "source $1 $2 $3"
    while zpty -r z line && [[ $line != *READY* ]]; do :; done
    zpty -n -w z "$4"$'\\t'
    while zpty -r z line && [[ $line != *DONE* ]]; do print -r -- "$line"; done
    zpty -d z`;

  it.each(CASES)("after %j offers %j, not %j", async (typed, offered, never) => {
    const [setup, ask] = [join(folder, "setup.zsh"), join(folder, "ask.zsh")];
    await writeFile(setup, SETUP);
    await writeFile(ask, ASK);
    const result = await run("zsh", ["-f", ask, setup, join(folder, "yore.zsh"), folder, typed], {
      env: ENV,
      timeoutMs: 15_000,
    });
    const words = [...result.stdout.matchAll(/<([^>\r\n]*)>/g)].map(([, word]) => word);
    expect(words).toEqual(expect.arrayContaining([...offered]));
    for (const word of never) expect(words).not.toContain(word);
  });
});

describe.skipIf(missingProgram("fish"))("fish completion", () => {
  it.each(CASES)("after %j offers %j, not %j", async (typed, offered, never) => {
    const script = `source ${join(folder, "yore.fish")}; complete -C '${typed}'`;
    const { stdout, stderr } = await run("fish", ["--no-config", "-c", script], {
      env: { ...ENV, HOME: folder },
      cwd: folder,
    });
    expect(stderr).toBe("");
    const words = stdout.split("\n").map((line) => line.split("\t")[0]);
    expect(words).toEqual(expect.arrayContaining([...offered]));
    for (const word of never) expect(words).not.toContain(word);
  });
});

describe("man pages", () => {
  it("there is one for every command", async () => {
    const pages = await readdir(join(folder, "man"));
    expect(pages).toEqual(expect.arrayContaining(["yore.1", "yore-ls.1", "yore-key-add.1", "yore-mount.1"]));
  });

  it.skipIf(missingProgram("man"))("man shows them without a warning", async () => {
    for (const page of await readdir(join(folder, "man"))) {
      const args = ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", join(folder, "man", page)];
      expect({ page, said: (await run("man", args, { env: ENV })).stderr }).toEqual({ page, said: "" });
    }
    const { stdout } = await run("man", ["-l", join(folder, "man", "yore-ls.1")], { env: ENV });
    expect(stdout).toContain("yore-ls - list files and directories of a snapshot");
    expect(stdout).toContain("--human-readable");
  });
});

describe("generate", () => {
  it.each([
    [[], "nothing to do"],
    [["--bash-completion", "-", "--zsh-completion", "-"], "only one"],
    [["--bash-completion", "-", "--json"], "--json"],
    [["--man", "/nowhere/at/all"], "ENOENT"],
  ])("refuses %j", async (flags, message) => {
    const result = await runYore(["generate", ...flags]);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
  });

  it("writes to standard output, and nothing else there", async () => {
    const { stdout, stderr } = await runYore(["generate", "--zsh-completion", "-"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^#compdef yore\n/);
  });
});
