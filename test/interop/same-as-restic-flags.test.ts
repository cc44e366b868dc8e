import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeCommand, flatten } from "../../src/cli/generate/command-tree.js";
import { createProgram } from "../../src/cli/program.js";
import { FakeIo } from "../support/fake-io.js";
import { missingPeer, runRestic } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

describe.skipIf(missingPeer("restic"))("the command line", () => {
  it("has every command and every flag of restic", async () => {
    const program = describeCommand(await createProgram(new FakeIo()));
    const pages = join(await temporaryFolder(), "man");
    await mkdir(pages);
    // A page for each command: what restic has is asked of restic.
    expect((await runRestic(["generate", "--man", pages])).code).toBe(0);
    const names = (await readdir(pages)).map((page) => page.replace(/^restic-?/, "").replace(/\.1$/, ""));
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) {
      const command = flatten(program).find(({ path }) => path.replaceAll(" ", "-") === name);
      expect(command, name).toBeDefined();
      const help = (await runRestic([...command!.path.split(" ").filter(Boolean), "--help"])).stdout;
      const flags = [...help.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag!);
      const known = [
        "--help",
        ...program.flags.map(({ long }) => long),
        ...command!.flags.map(({ long }) => long),
      ];
      expect({ name, missing: flags.filter((flag) => !known.includes(flag)) }).toEqual({ name, missing: [] });
    }
  });
});
