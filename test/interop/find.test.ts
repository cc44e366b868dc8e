import { execFileSync } from "node:child_process";
import {
  appendFile,
  chmod,
  cp,
  link,
  mkdir,
  readdir,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { saveSnapshot } from "../../src/repository/snapshots.js";
import { node, openRepository, saveTree, snapshotOf } from "../repository/support.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { onBoth, resticSays } from "../support/interop.js";
import { missingPeer, runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

/** `find` of both programs over the same repository, made by restic. */

let folder: string;
let env: Record<string, string>;

function both(args: readonly string[]) {
  return onBoth([...args, "--no-cache"], { env, cwd: folder });
}

function restic(...args: string[]): Promise<string> {
  return resticSays(env, args, { cwd: folder });
}

async function makeFiles(): Promise<void> {
  const root = join(folder, "files");
  await mkdir(join(root, "a dir/sub"), { recursive: true });
  await mkdir(join(root, "b/empty"), { recursive: true });
  await mkdir(join(root, "c/empty"), { recursive: true });
  await writeFile(join(root, "a dir/One.txt"), "hi\n");
  await writeFile(join(root, "a dir/sub/two.txt"), "two\n");
  await writeFile(join(root, "b/big.bin"), Buffer.alloc(3_000_000, "0123456789"));
  await writeFile(join(root, "c/copy.bin"), Buffer.alloc(3_000_000, "0123456789"));
  await writeFile(Buffer.concat([Buffer.from(join(root, "b/n")), Buffer.of(0xff), Buffer.from("<&>")]), "y");
  await symlink("big.bin", join(root, "b/link"));
  await link(join(root, "b/big.bin"), join(root, "b/hard"));
  execFileSync("mkfifo", [join(root, "b/fifo")]);
  await writeFile(join(root, "b/old.txt"), "");
  await utimes(join(root, "b/old.txt"), 1_583_294_767, 1_583_294_767);
}

describe.skipIf(missingPeer("restic"))("find", () => {
  const ids = { blob: "", tree: "", empty: "", pack: "" };

  beforeAll(async () => {
    folder = await temporaryFolder();
    env = { RESTIC_PASSWORD: "geheim", TZ: "Europe/Berlin", RESTIC_REPOSITORY: join(folder, "repository") };
    await makeFiles();
    await restic("init", "--quiet");
    await makeKeyCheap(join(folder, "repository"), "geheim");
    await restic("backup", "-q", "files", "--time", "2024-01-02 03:04:05", "--host", "h1", "--tag", "a,b");
    await writeFile(join(folder, "files/b/new.txt"), "new");
    await restic("backup", "-q", "files", "--time", "2024-07-02 03:04:05", "--host", "h1");
    await appendFile(join(folder, "files/a dir/One.txt"), "more");
    await chmod(join(folder, "files/c/copy.bin"), 0o4755);
    await restic("backup", "-q", "files", "--time", "2024-08-02 03:04:05", "--host", "h2");
    const snapshots = JSON.parse(await restic("snapshots", "--json")) as { id: string; tree: string }[];
    ids.tree = snapshots[0]!.tree;
    const { nodes } = JSON.parse(await restic("cat", "tree", `${snapshots[2]!.id}:files/b`)) as {
      nodes: { name: string; subtree?: string; content?: string[] }[];
    };
    ids.empty = nodes.find(({ name }) => name === "empty")!.subtree!;
    ids.blob = nodes.find(({ name }) => name === "big.bin")!.content![0]!;
    ids.pack = (await restic("list", "packs")).split("\n").sort()[1]!;
  }, 120_000);

  it.each([
    [["One.txt"]],
    [["-q", "*.txt"]],
    [["-l", "b"]],
    [["-l", "--human-readable", "*.bin"]],
    [["--json", "*"]],
    [["--reverse", ""]],
    [["-i", "TWO*", "/FILES/b"]],
    [["/files/**/*.txt"]],
    [["/"]],
    [["!*.txt"]],
    [["-O", "2021-01-01", "*.txt"]],
    [["-N", "04.03.2020 05:06:07", "*.txt", "--json"]],
    [["-N", "2020-03-04 05:06:06 CET", "*.txt"]],
    [["-O", "2020-03-04 05:06:08 CEST", "-N", "2022-01-01", "*.txt"]],
    [["-O", "Wed Mar 4 05:06:07 +0100 CET 2020", "*.txt"]],
    [["--host", "h1", "-s", "latest", "One.txt"]],
    [["--host", "h1", "One.txt"]],
    [["--tag", "a", "--json", "One.txt"]],
    [["nothing"]],
    [["nothing", "--json"]],
    [["-O", "yesterday", "x"]],
    [["--blob", "--tree", "x"]],
    [["--pack", "12345678"]],
    [["--blob", "zz"]],
  ])("finds the same for %j", async (args) => {
    const { yore, restic } = await both(["find", ...args]);
    if (!yore.stdoutBytes.equals(restic.stdoutBytes)) expect(yore.stdout).toBe(restic.stdout);
    expect(yore.stderr).toBe(restic.stderr);
    expect(yore.code).toBe(restic.code);
  });

  it.each([
    ["--blob", "blob"],
    ["--tree", "tree"],
    ["--pack", "pack"],
  ] as const)("finds the same places of a %s", async (flag, name) => {
    for (const id of [ids[name], ids[name].slice(0, 8), ids[name].slice(0, 7)]) {
      for (const json of [[], ["--json"]]) {
        const { yore, restic } = await both(["find", flag, id, ...json]);
        expect(yore.stdout).toBe(restic.stdout);
        expect(yore.code).toBe(restic.code);
      }
    }
  });

  it("finds the same of a node with what only Windows knows of a file", async () => {
    const copy = join(folder, "from-windows");
    await cp(join(folder, "repository"), copy, { recursive: true });
    const repository = await openRepository(await LocalBackend.open(copy));
    const genericAttributes = { "windows.creation_time": "AAAAAAAAAAA=", "windows.file_attributes": 32 };
    const tree = await saveTree(repository, [node("from Windows", { genericAttributes })]);
    await repository.flush();
    await saveSnapshot(repository, snapshotOf(tree));
    await repository.close();
    const options = { env: { ...env, RESTIC_REPOSITORY: copy } };
    const { yore, restic } = await onBoth(["find", "--json", "from*", "--no-cache"], options);
    expect(yore.stdout).toBe(restic.stdout);
    expect(yore.stdout).toContain('"path":"/from Windows"');
  });

  it("tells the packs of what it found", async () => {
    const { yore, restic } = await both(["find", "--blob", ids.blob, "--show-pack-id"]);
    expect(yore.stdout).toBe(restic.stdout);
    const json = await runYore(["find", "--blob", ids.blob, "--show-pack-id", "--json"], { env });
    const [hit] = JSON.parse(json.stdout) as { packs: string[] }[];
    expect(restic.stdout).toContain(`Object belongs to pack ${hit!.packs[0]}`);
  });

  it("finds every place of a tree in every snapshot, where restic stops after the first", async () => {
    const { stdout } = await runYore(["find", "--tree", ids.empty, "--json"], { env });
    const hits = JSON.parse(stdout) as { path: string; snapshot: string }[];
    expect(hits.map(({ path }) => path)).toEqual(
      [1, 2, 3].flatMap(() => ["/files/b/empty", "/files/c/empty"]),
    );
  });

  it("goes on behind a damaged tree, says which, and exits with 1", async () => {
    const copy = join(folder, "damaged");
    await cp(join(folder, "repository"), copy, { recursive: true });
    const location = await restic("find", "--tree", ids.tree, "--show-pack-id");
    const pack = /Object belongs to pack ([0-9a-f]{64})/.exec(location)![1]!;
    expect(await readdir(join(copy, "data", pack.slice(0, 2)))).toContain(pack);
    await rm(join(copy, "data", pack.slice(0, 2), pack));
    const result = await runYore(["find", "new.txt"], { env: { ...env, RESTIC_REPOSITORY: copy } });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('Cannot search "');
    expect(result.stdout).toContain("/files/b/new.txt");
  });
});
