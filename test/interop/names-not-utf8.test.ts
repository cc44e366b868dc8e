import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { run, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };

/** What every script begins with: no argument of a child process of Node.js may hold these bytes. */
const BEGINNING = `
  set -eu
  yore() { ${yoreCommand([])} "$@"; }
  cafe=$(printf 'caf\\351')
`;

const cannotMount = (await ownDriver.problem()) !== undefined;
let folder: string;

/** Runs a script in the folder, and fails with it. @returns what it prints, a character a byte */
async function shell(script: string): Promise<string> {
  const { code, stdoutBytes, stderr } = await run("sh", ["-c", BEGINNING + script], { env, cwd: folder });
  if (code !== 0) throw new Error(`exit status ${code}: ${stdoutBytes.toString("latin1")}${stderr}`);
  return stdoutBytes.toString("latin1").trim();
}

beforeEach(async () => {
  folder = await temporaryFolder();
  await runYore(["init", "-q", "-r", "repository"], { env, cwd: folder });
  await makeKeyCheap(join(folder, "repository"), "geheim");
  await shell('mkdir "$cafe" files && echo two > files/b');
});

describe("in a working folder whose name is not UTF-8", () => {
  it("restore writes into that folder, and makes no other", async () => {
    expect(
      await shell(`
        yore -r repository backup -q files
        cd "$cafe"
        yore -r ../repository restore latest -t out -q
        cat out/files/b
        cd .. && printf '%s\\n' caf*
      `),
    ).toBe("two\ncaf\xe9");
  });

  it("backup saves what is there, and its snapshot is found by a relative path", async () => {
    expect(
      await shell(`
        cd "$cafe" && mkdir data && echo three > data/c
        yore -r ../repository backup -q data
        yore -r ../repository ls latest -q
        yore -r ../repository snapshots --path data --json | grep -c '"paths":\\["[^"]*/caf�/data"\\]'
        yore -r ../repository backup -q --explain data/c data | cut -c 1-3
      `),
    ).toMatch(/\/data\n\/data\/c\n1\nin$/);
  });

  it.skipIf(cannotMount)("mount and umount find their directory", async () => {
    expect(
      await shell(`
        cd "$cafe" && mkdir mnt
        yore -r ../repository backup -q ../files
        for mnt in mnt; do
          yore -r ../repository mount --daemon -q latest "$mnt"
          cat mnt/files/b
          yore umount "$mnt"
          ls mnt
        done
      `),
    ).toBe("two");
  });
});
