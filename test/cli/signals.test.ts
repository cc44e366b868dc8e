import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, open, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { createRepository, openRepository } from "../../src/mod.js";
import { makeKeyCheap } from "../support/cheap-key.js";
import { missingProgram, run, spawnYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";

let repository: string;
const env = { YORE_PASSWORD: "geheim" };

beforeAll(async () => {
  repository = join(await temporaryFolder(), "repository");
  await createRepository(repository, { password: "geheim" });
  await makeKeyCheap(repository, "geheim");
});

const locks = () => readdir(join(repository, "locks"));

describe.each(["SIGINT", "SIGTERM"] as const)("%s", (signal) => {
  it("ends the waiting for a lock with 130", async () => {
    const session = await openRepository(repository, { password: "geheim", lock: "exclusive" });
    try {
      const child = spawnYore(["-r", repository, "--retry-lock", "1h", "snapshots"], { env });
      const [said] = (await once(child.stderr!, "data")) as [Buffer];
      expect(said.toString()).toContain("waiting up to 1h0m0s for the lock");
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([130, null]);
    } finally {
      await session.close();
    }
  });

  it("releases the lock of a command at work", async () => {
    const child = spawnYore(["-r", repository, "backup", "--stdin"], { env });
    child.stdin!.on("error", () => {});
    await vi.waitFor(async () => expect(await locks()).toHaveLength(1), 30_000);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(await locks()).toEqual([]);
  });
});

describe("SIGTERM", () => {
  it("ends a password command, and the command that waits for it", async () => {
    const asking = "sh -c 'echo asking >&2; exec sleep 1000'";
    const child = spawnYore(["-r", repository, "--password-command", asking, "snapshots"]);
    const [said] = (await once(child.stderr!, "data")) as [Buffer];
    expect(said.toString()).toBe("asking\n");
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([130, null]);
  });

  it("ends the waiting for a password file that nobody writes to", async () => {
    const fifo = join(await temporaryFolder(), "fifo");
    await run("mkfifo", [fifo]);
    const child = spawnYore(["-r", repository, "-p", fifo, "snapshots"]);
    const writer = await open(fifo, "w");
    try {
      child.kill("SIGTERM");
      expect(await once(child, "exit")).toEqual([130, null]);
    } finally {
      await writer.close();
    }
  });
});

const canBecomeAnother = process.getuid?.() === 0 && !missingProgram("setpriv");

describe.skipIf(!canBecomeAnother)("SIGTERM to an ordinary user's backup", () => {
  const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];

  it("ends it also when what a command of root's prints is saved, which he cannot end", async () => {
    const folder = await temporaryFolder();
    await chmod(join(folder, ".."), 0o755);
    await chmod(folder, 0o777);
    const place = join(folder, "repository");
    const asNobody = (...args: string[]) => [
      ...NOBODY,
      ...["sh", "-c", `exec ${yoreCommand(["-r", place, ...args])}`],
    ];
    const options = { env: { ...process.env, ...env, HOME: folder } };
    expect((await run("setpriv", asNobody("init", "-q"), options)).code).toBe(0);
    // As sudo does.
    const becomeRoot = join(folder, "become-root");
    await copyFile((await run("sh", ["-c", "command -v setpriv"])).stdout.trim(), becomeRoot);
    await chmod(becomeRoot, 0o4755);
    const command = [becomeRoot, "--reuid=0", "--clear-groups", "sh", "-c", "echo $$ >&2; exec sleep 1000"];
    const child = spawn(
      "setpriv",
      asNobody("backup", "-q", "--stdin-from-command", "--", ...command),
      options,
    );
    const said = collect(child.stderr);
    await vi.waitFor(() => expect(said()).toMatch(/^\d+\n/), 30_000);
    try {
      child.kill("SIGTERM");
      expect(await once(child, "exit")).toEqual([130, null]);
    } finally {
      process.kill(Number(said().split("\n")[0]));
    }
    expect(await readdir(join(place, "locks"))).toEqual([]);
  });
});

describe("SIGHUP", () => {
  it("does not stop a command: a closed terminal must not leave half the work", async () => {
    const child = spawnYore(["-r", repository, "backup", "--stdin", "--json"], { env });
    await vi.waitFor(async () => expect(await locks()).toHaveLength(1), 30_000);
    child.kill("SIGHUP");
    child.stdin!.end("content");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

describe("SIGUSR1", () => {
  it("shows progress once, and opens no door for debuggers", async () => {
    const child = spawnYore(["-r", repository, "backup", "--stdin"], { env });
    const [out, err] = [collect(child.stdout!), collect(child.stderr!)];
    await vi.waitFor(async () => expect(await locks()).toHaveLength(1), 30_000);
    // Sent again and again: nothing is shown before there is progress.
    await vi.waitFor(() => {
      child.kill("SIGUSR1");
      expect(out()).toMatch(/^\[\d+:\d\d\]/m);
    }, 30_000);
    child.stdin!.end("more");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(err()).not.toContain("Debugger");
  });

  it("that comes while Node.js starts leaves no door open", async () => {
    // As the signal would, before the program is loaded.
    const watcher = join(await temporaryFolder(), "watch.cjs");
    await writeFile(
      watcher,
      `const inspector = require("node:inspector");
       inspector.open(0, "127.0.0.1");
       setInterval(() => inspector.url() ?? console.error("closed"), 10).unref();`,
    );
    const command = yoreCommand(["-r", repository, "backup", "--stdin"]).replace(
      /^'[^']*'/,
      (node) => `exec ${node} --require '${watcher}'`,
    );
    const child = spawn("sh", ["-c", command], { env: { ...process.env, ...env } });
    const err = collect(child.stderr!);
    await vi.waitFor(() => expect(err()).toContain("closed"), 30_000);
    child.stdin!.end("data");
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.on("data", (piece: Buffer) => {
    text += piece.toString();
  });
  return () => text;
}

describe("a full disk", () => {
  it("is a failure, not an output that is cut short", async () => {
    const result = await run("sh", ["-c", `${yoreCommand(["-r", repository, "list", "keys"])} > /dev/full`], {
      env,
    });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^Fatal: Cannot write output: ENOSPC/);
  });
});

describe("a reader that has gone", () => {
  it("ends the command quietly, its lock released", async () => {
    const child = spawnYore(["-r", repository, "list", "keys"], { env });
    let said = "";
    child.stderr!.on("data", (piece) => (said += piece));
    child.stdout!.destroy();
    expect(await once(child, "exit")).toEqual([141, null]);
    expect(said).toBe("");
    expect(await locks()).toEqual([]);
  });
});
