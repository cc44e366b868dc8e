import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onBoth, resticSays } from "../support/interop.js";
import { missingPeer, run, runInTerminal, runRestic, runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let folder: string;
let files: string;
let env: Record<string, string>;

/** All that is below a folder: names as hex, types, content or targets, modes and times. */
async function contents(root: string): Promise<string> {
  const list = await run("find", [root, "-mindepth", "1", "-printf", "%P %y %l %m %T@\\0"]);
  const sums = await run("sh", [
    "-c",
    'cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum -z',
    "sh",
    root,
  ]);
  return [
    ...list.stdoutBytes.toString("latin1").split("\0").sort(),
    sums.stdoutBytes.toString("latin1"),
  ].join("\n");
}

describe.skipIf(missingPeer("restic"))("dump", () => {
  beforeAll(async () => {
    folder = await temporaryFolder();
    files = join(folder, "files");
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: join(folder, "repository") };
    await resticSays(env, ["init", "--quiet"]);
    await makeKeyCheap(join(folder, "repository"), "geheim");
    const deep = join(files, ...Array.from({ length: 12 }, (_, i) => `a rather long name ${i}`));
    await mkdir(deep, { recursive: true });
    await mkdir(join(files, "empty"));
    await writeFile(join(deep, "file"), "deep");
    await writeFile(join(files, "big"), Buffer.alloc(11_000_000, "0123456789abc"));
    await writeFile(join(files, "noise"), randomBytes(24_000_000));
    await writeFile(join(files, "nothing"), "");
    await writeFile(
      Buffer.concat([Buffer.from(join(files, "n")), Buffer.of(0xff), Buffer.from("日")]),
      "raw",
    );
    for (let i = 0; i < 300; i++) await writeFile(join(files, `small-${i}`), `content ${i % 100}`);
    await symlink("big", join(files, "link"));
    execFileSync("mkfifo", [join(files, "fifo")]);
    await utimes(join(files, "nothing"), 1_000_000_000.25, 1_000_000_000.25);
    await resticSays(env, ["backup", "-q", files]);
  }, 60_000);

  it.each([["nothing"], ["big"], ["small-7"], ["nope"], ["link"], ["fifo"], ["big/below"], ["link/below"]])(
    "of %j prints the same",
    async (name) => {
      const args = ["dump", "latest", join(files, name), "--no-cache"];
      const { yore, restic } = await onBoth(args, { env });
      expect(yore.stdoutBytes.equals(restic.stdoutBytes)).toBe(true);
      expect(yore.stderr).toBe(restic.stderr);
      expect(yore.code).toBe(restic.code);
    },
  );

  it.each([
    [[]],
    [["latest"]],
    [["latest", "/", "--archive", "rar"]],
    [["nope", "/"]],
    [["latest:nope", "/"]],
  ])("refuses %j", async (args) => {
    const yore = await runYore(["dump", ...args], { env });
    const restic = await runRestic(["dump", ...args, "--no-cache"], { env });
    expect([yore.code, yore.stdout]).toEqual([restic.code, restic.stdout]);
    expect(yore.code).toBe(1);
  });

  it("makes a tar that GNU tar unpacks to what was backed up, but for what tar leaves out", async () => {
    const target = join(folder, "out.tar");
    const result = await runYore(["dump", `latest:${files}`, "/", "--target", target], { env });
    expect(result).toMatchObject({ code: 0, stdout: "", stderr: "" });
    const unpacked = join(folder, "untar");
    await mkdir(unpacked);
    const tar = await run("tar", ["-xpf", target, "-C", unpacked]);
    expect(tar).toMatchObject({ code: 0, stderr: "" });
    await rm(join(unpacked, "fifo"), { force: true });
    expect(await readdir(unpacked)).not.toContain("fifo");
    const withoutFifo = (text: string) =>
      text
        .split("\n")
        .filter((line) => !line.startsWith("fifo "))
        .join("\n");
    expect(await contents(unpacked)).toBe(withoutFifo(await contents(files)));
  });

  it("names what is in a folder by its whole path, in the order of restic, without its pseudo files", async () => {
    const names = async (program: typeof runYore) => {
      const { stdoutBytes } = await program(["dump", "latest", files, "--no-cache"], { env });
      return (await run("tar", ["-t", "--quoting-style=escape"], { input: stdoutBytes })).stdout.split("\n");
    };
    const expected = (await names(runRestic)).filter((name) => !name.endsWith("/fifo"));
    expect(await names(runYore)).toEqual(expected);
  });

  it("makes a zip that unzip and Python accept", async () => {
    const target = join(folder, "out.zip");
    const result = await runYore(["dump", `latest:${files}`, "/", "-a", "zip", "-t", target], { env });
    expect(result.code).toBe(0);
    expect((await run("unzip", ["-tq", target])).code).toBe(0);
    const program = `
import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print(z.testzip(), len(z.namelist()), z.read("link").decode(), oct(z.getinfo("link").external_attr >> 16), len(z.read("big")))`;
    const { stdout } = await run("python3", ["-c", program, target]);
    const left = (await run("find", [files, "-mindepth", "1", "!", "-type", "p", "-printf", "x"])).stdout
      .length;
    expect(stdout).toBe(`None ${left} big 0o120777 11000000\n`);
  });

  it("never writes an archive to a terminal, but a file", async () => {
    const inTerminal = (path: string) => runInTerminal(yoreCommand(["dump", "latest", path]), { env });
    const archive = await inTerminal(files);
    expect(archive.code).toBe(1);
    expect(archive.stdout).toContain("stdout is the terminal, please redirect output");
    expect((await inTerminal(join(files, "small-7"))).stdout).toContain("content 7");
  });

  it("fails when a blob is lost, instead of leaving it out", async () => {
    const copy = join(await temporaryFolder(), "repository");
    await run("cp", ["-a", join(folder, "repository"), copy]);
    const { nodes } = JSON.parse(await resticSays(env, ["cat", "tree", `${await newest()}:${files}`])) as {
      nodes: { name: string; content?: string[] }[];
    };
    const blob = nodes.find(({ name }) => name === "big")!.content![0]!;
    const found = await resticSays(env, ["find", "--blob", blob, "--show-pack-id"]);
    const pack = /belongs to pack ([0-9a-f]{64})/.exec(found)![1]!;
    await rm(join(copy, "data", pack.slice(0, 2), pack));
    const result = await runYore(["dump", "latest", files], { env: { ...env, RESTIC_REPOSITORY: copy } });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(pack.slice(0, 8));
  });

  it.each(["tar", "zip"])("says in one line that a %s does not fit the disk", async (format) => {
    const args = ["dump", "-a", format, "latest", files];
    const piped = await run("sh", ["-c", `${yoreCommand(args)} >/dev/full`], { env });
    expect(piped.stderr).toBe("Fatal: Cannot write output: ENOSPC: no space left on device, write\n");
    expect(piped.code).toBe(1);
    const target = await runYore([...args, "--target", "/dev/full"], { env });
    expect(target.stderr).toBe('Fatal: Cannot write "/dev/full": ENOSPC: no space left on device, write\n');
    expect(target.code).toBe(1);
  });

  it("writes the file of --target for nobody else", async () => {
    const target = join(folder, "one");
    await runYore(["dump", "latest", join(files, "small-7"), "-t", target], { env });
    expect(await readFile(target, "utf8")).toBe("content 7");
    expect((await run("stat", ["-c", "%a", target])).stdout).toBe("600\n");
  });
});

async function newest(): Promise<string> {
  const snapshots = JSON.parse(await resticSays(env, ["snapshots", "--json"])) as { id: string }[];
  return snapshots.at(-1)!.id;
}
