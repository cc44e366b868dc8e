import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { ownDriver } from "../../src/fuse/drivers/own-driver.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingPeer, peer, run, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

const env = { RESTIC_PASSWORD: "geheim" };

/** What every script begins with: no argument of a child process of Node.js may hold these bytes. */
const BEGINNING = `
  set -eu
  yore() { ${yoreCommand([])} "$@"; }
  restic() { ${peer("restic") ?? "false"} --no-cache "$@"; }
  cafe=$(printf 'caf\\351')
  odd=$(printf 'a\\377')
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
  await shell('mkdir "$cafe" files && echo one > "files/$odd" && echo two > files/b');
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
        for mnt in mnt "$PWD/mnt"; do
          yore -r ../repository mount --daemon -q latest "$mnt"
          cat mnt/files/b
          yore umount "$mnt"
          ls mnt
        done
      `),
    ).toBe("two\ntwo");
  });
});

describe("an argument that is not UTF-8", () => {
  it("names a file to be saved, listed, found, dumped and restored", async () => {
    expect(
      await shell(`
        yore -r repository backup -q files/*
        yore -r repository dump latest "/files/$odd"
        yore -r repository find -q "$odd"
        yore -r repository restore latest -q -t "$cafe/out" --include "/files/$odd"
        find "$cafe/out" -type f
        yore -r repository dump -t "$cafe/dumped" latest files/b
        ls "$cafe"
      `),
    ).toBe(["one", "/files/a\xff", "caf\xe9/out/files/a\xff", "dumped", "out"].join("\n"));
  });

  it("names a folder of a snapshot, a pattern, a list of files and the file of standard input", async () => {
    expect(
      await shell(`
        mkdir "files/$cafe" && echo x > "files/$cafe/x"
        echo files > "$cafe/list"
        yore -r repository backup -q --files-from "$cafe/list" --exclude "$odd"
        yore -r repository ls -q latest "/files/$cafe"
        yore -r repository ls -q latest | grep -c "$odd" || true
        yore -r repository dump "latest:/files/$cafe" x
        echo piped | yore -r repository backup -q --stdin --stdin-filename "$odd"
        yore -r repository backup -q --stdin-filename "$cafe" --stdin-from-command -- cat "files/$odd"
        yore -r repository dump latest "$cafe"
        yore -r repository find -q "$odd"
      `),
    ).toBe(["/files/caf\xe9", "/files/caf\xe9/x", "0", "x", "one", "/a\xff"].join("\n"));
  });

  it.skipIf(missingPeer("restic"))("names a repository that restic finds there", async () => {
    expect(
      await shell(`
        yore -r "$cafe/r" init -q
        yore -r "$cafe/r" backup -q files
        yore -r "$cafe/r" prune -q
        yore -r "$cafe/r" check -q
        restic -r "$cafe/r" dump latest "/files/$odd"
        ls "$cafe/r"
      `),
    ).toBe(["one", "config", "data", "index", "keys", "locks", "snapshots"].join("\n"));
  });

  it("is refused where it would be another file, and is text elsewhere", async () => {
    expect(
      await shell(`
        yore -r repository --cacert "$odd" snapshots 2>&1 || echo $?
        yore -r "rest:http://localhost/$odd" snapshots 2>&1 || echo $?
        yore -r repository backup -q --tag "$odd" files
        yore -r repository snapshots --json | grep -c '"tags":\\["a�"\\]'
      `),
    ).toMatch(/"--cacert" flag: it is not UTF-8\n1\n.*it is not UTF-8.*\n1\n1$/);
  });
});
