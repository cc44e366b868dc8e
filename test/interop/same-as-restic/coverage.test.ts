import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { splitShellWords } from "../../../src/cli/shell-words.js";
import { missingPeer, runRestic } from "../../support/run.js";
import { temporaryFolder } from "../../support/temporary.js";
import { USES_THAT_FAIL } from "./uses-that-fail.js";
import { USES_THAT_READ } from "./uses-that-read.js";
import { USES_THAT_WRITE } from "./uses-that-write.js";

/** Flags of restic that no use of the tables has, by command, and why not. */
const NOT_COMPARABLE: Readonly<Record<string, { readonly flags: readonly string[]; readonly why: string }>> =
  {
    generate: {
      flags: [
        "--bash-completion",
        "--fish-completion",
        "--man",
        "--powershell-completion",
        "--zsh-completion",
      ],
      why: "each program describes itself; test/cli/generate.test.ts tries them in real shells",
    },
    mount: {
      flags: [
        "--allow-other",
        "--host",
        "--no-default-permissions",
        "--owner-root",
        "--path",
        "--path-template",
        "--tag",
        "--time-template",
      ],
      why: "it stays; test/mount/same-as-restic.test.ts mounts both side by side",
    },
  };

interface Flag {
  readonly long: string;
  readonly short: string | undefined;
}

/** The flags in one part of restic's help. */
function flagsOf(help: string, part: "Flags" | "Global Flags"): Flag[] {
  const text = new RegExp(`^${part}:\n((?: .*\n?)*)`, "m").exec(help)?.[1] ?? "";
  const found = [...text.matchAll(/^ +(?:(-\w), )?(--[a-z-]+)/gm)];
  return found.map(([, short, long]) => ({ long: long!, short })).filter(({ long }) => long !== "--help");
}

const ALL = [...USES_THAT_READ, ...USES_THAT_WRITE, ...USES_THAT_FAIL].map(({ line }) =>
  splitShellWords(line),
);

function isUsed({ long, short }: Flag, uses: readonly (readonly string[])[]): boolean {
  return uses.some((words) =>
    words.some(
      (word) => word === long || word.startsWith(`${long}=`) || (short !== undefined && word === short),
    ),
  );
}

/** The words of each command, from the man pages: there is one for each. The program itself has none. */
async function commandsOfRestic(): Promise<string[][]> {
  const pages = join(await temporaryFolder(), "man");
  await mkdir(pages);
  expect((await runRestic(["generate", "--man", pages])).code).toBe(0);
  const names = (await readdir(pages)).map((page) => page.replace(/^restic-?/, "").replace(/\.1$/, ""));
  expect(names.length).toBeGreaterThan(30);
  return names.map((name) =>
    name
      .replace(/^(key|repair)-/, "$1 ")
      .split(" ")
      .filter(Boolean),
  );
}

describe.skipIf(missingPeer("restic"))("the uses that are compared with restic", () => {
  it("have every command and every flag that restic says it has", async () => {
    const missing: string[] = [];
    for (const path of await commandsOfRestic()) {
      const name = path.join(" ");
      const help = (await runRestic([...path, "--help"])).stdout;
      const uses = ALL.filter((words) => path.every((word) => words.includes(word)));
      const excused = NOT_COMPARABLE[name]?.flags ?? [];
      if (uses.length === 0 && excused.length === 0 && !help.includes("Available Commands"))
        missing.push(name);
      const own =
        name === ""
          ? flagsOf((await runRestic(["version", "--help"])).stdout, "Global Flags")
          : flagsOf(help, "Flags");
      for (const flag of own)
        if (!isUsed(flag, uses) && !excused.includes(flag.long)) missing.push(`${name} ${flag.long}`);
    }
    expect(missing).toEqual([]);
  });

  it("are all in the table of docs/commands.md", async () => {
    const table = await readFile(join(import.meta.dirname, "../../../docs/commands.md"), "utf8");
    const rows = table.split("\n").filter((line) => line.startsWith("| `"));
    const words = new Map<string, Set<string>>();
    for (const row of rows) {
      const [, names = "", , flags = ""] = row.split("|");
      // "`key add`, `list`": what stands behind the first is of the same group.
      const [first = "", ...others] = [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
      const group = first.includes(" ") ? `${first.split(" ")[0]} ` : "";
      const said = new Set([...flags.matchAll(/--?[a-zA-Z][a-z-]*/g)].map(([flag]) => flag));
      for (const name of [first, ...others.map((other) => group + other)]) words.set(name, said);
    }
    const missing: string[] = [];
    for (const path of await commandsOfRestic()) {
      const name = path.join(" ");
      const { stdout: help } = await runRestic([...path, "--help"]);
      if (name === "" || help.includes("Available Commands")) continue;
      const said = words.get(name);
      if (!said) missing.push(name);
      for (const { long, short } of flagsOf(help, "Flags"))
        if (said && !said.has(long) && !(short && said.has(short))) missing.push(`${name} ${long}`);
    }
    expect(missing).toEqual([]);
  });

  it("leave out only flags that restic has", async () => {
    for (const [name, { flags }] of Object.entries(NOT_COMPARABLE)) {
      const known = flagsOf((await runRestic([name, "--help"])).stdout, "Flags").map(({ long }) => long);
      expect(flags.filter((flag) => !known.includes(flag))).toEqual([]);
    }
  });
});
