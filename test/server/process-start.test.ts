import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runYore, yoreCommand } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";
import { Served } from "./served.js";

describe("yore serve, when it starts", () => {
  let folder: string;
  let served: Served | undefined;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(async () => {
    await served?.end("SIGKILL");
    served = undefined;
  });

  it("takes switches that say no from the environment, too", async () => {
    const env = { YORE_SERVE_NO_AUTH: "true", YORE_SERVE_NO_VERIFY_UPLOAD: "true" };
    served = await Served.start(folder, [], undefined, env);
    expect((await ask(served.url, "POST", "/?create=true")).status).toBe(200);
    expect((await ask(served.url, "POST", `/data/${"0".repeat(64)}`, { body: "junk" })).status).toBe(200);
  });

  it("takes the socket that systemd has opened", async () => {
    const listen = [
      "import os, socket, sys",
      "s = socket.create_server(('127.0.0.1', 0))",
      "print(s.getsockname()[1], flush=True)",
      "os.dup2(s.fileno(), 3)",
      "os.set_inheritable(3, True)",
      "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))",
      "os.execvp('sh', ['sh', '-c', 'exec ' + sys.argv[1]])",
    ];
    const command = yoreCommand(["serve", "--path", folder, "--no-auth"]);
    const child = spawn("python3", ["-c", listen.join("\n"), command], { stdio: ["ignore", "pipe", "pipe"] });
    try {
      let said = "";
      await new Promise<void>((resolve, reject) => {
        child.stdout.on("data", (piece: Buffer) => {
          said += piece.toString();
          if (said.includes("Serving ")) resolve();
        });
        child.on("exit", () => reject(new Error(`the server ended: ${said}`)));
      });
      const port = /^\d+/.exec(said)![0];
      expect((await ask(`http://127.0.0.1:${port}/`, "GET", "/healthz")).text).toBe("ok\n");
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("listens on a unix socket, also where a killed server has left one", async () => {
    const socket = join(folder, "socket");
    const url = `rest:http+unix://${socket}:/repo/`;
    const env = { YORE_PASSWORD: "x", YORE_REPOSITORY: url, XDG_CACHE_HOME: join(folder, "cache") };
    served = await Served.start(folder, ["--no-auth"], `unix:${socket}`);
    expect((await runYore(["init"], { env })).code).toBe(0);
    await served.end("SIGKILL");
    served = await Served.start(folder, ["--no-auth"], `unix:${socket}`);
    expect((await runYore(["list", "keys"], { env })).code).toBe(0);
  });

  it("takes no unix socket of a server that is behind with accepting connections", async () => {
    const socket = join(folder, "socket");
    served = await Served.start(folder, ["--no-auth"], `unix:${socket}`);
    served.child.kill("SIGSTOP");
    const waiting: Socket[] = [];
    try {
      for (let isFull = false; !isFull; ) {
        const one = connect(socket);
        waiting.push(one);
        isFull = await new Promise<boolean>((resolve) => {
          one.on("connect", () => resolve(false));
          one.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EAGAIN"));
        });
      }
      const run = await runYore(["serve", "--path", folder, "--no-auth", "--listen", `unix:${socket}`]);
      expect(run).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("another process listens there"),
      });
    } finally {
      for (const one of waiting) one.destroy();
    }
  });

  it("does not start without the log that it shall write", async () => {
    const run = await runYore([
      "serve",
      "--path",
      folder,
      "--no-auth",
      "--listen",
      "127.0.0.1:0",
      "--log",
      folder,
    ]);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(/Cannot write log ".*": .*EISDIR/);
  });

  it("makes no data folder when it cannot read the passwords", async () => {
    const run = await runYore(["serve", "--path", join(folder, "dtaa"), "--listen", "127.0.0.1:0"]);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("Cannot read password file") });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("refuses a socket whose path the system would cut off", async () => {
    const socket = join(folder, "s".repeat(108 - folder.length));
    const run = await runYore(["serve", "--path", folder, "--no-auth", "--listen", `unix:${socket}`]);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toMatch(
      /Cannot listen on ".*": its 109 bytes are more than the \d+ that a socket's path can have/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});
