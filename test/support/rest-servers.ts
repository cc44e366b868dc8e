import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import type { Authentication } from "../../src/server/authenticator.js";
import { PasswordFile } from "../../src/server/password-file.js";
import { type ServeOptions, startServer } from "../../src/server/server.js";
import { peer } from "./run.js";

/** A server that serves a folder, and how it is stopped. */
export interface RestServer {
  /** With a slash at its end. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface YoreServerOptions extends Partial<Omit<ServeOptions, "authentication">> {
  readonly authentication?: Authentication | { readonly kind: "passwords"; readonly path: string };
}

/** Ours, within this process, on a port of its own. */
export async function startYoreServer(
  dataFolder: string,
  options: YoreServerOptions = {},
): Promise<RestServer & { readonly log: string[]; reload(): Promise<void> }> {
  const log: string[] = [];
  const { authentication = { kind: "none" } } = options;
  const server = await startServer({
    dataFolder,
    listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
    onLog: (line) => log.push(line),
    shutdownMs: 2_000,
    ...options,
    authentication:
      "path" in authentication
        ? { kind: "passwords", file: await PasswordFile.load(authentication.path, (line) => log.push(line)) }
        : authentication,
  });
  return { url: `${server.address}/`, log, stop: () => server.close(), reload: () => server.reload() };
}

/** The rest-server that is packaged with restic. */
export async function startRestServer(
  dataFolder: string,
  flags: readonly string[] = ["--no-auth"],
): Promise<RestServer> {
  const port = await freePort();
  return startProcess(
    peer("rest-server")!,
    ["--path", dataFolder, "--listen", `127.0.0.1:${port}`, ...flags],
    port,
  );
}

/** rclone's server of one repository. */
export async function startRcloneServer(folder: string, flags: readonly string[] = []): Promise<RestServer> {
  const port = await freePort();
  return startProcess(
    peer("rclone")!,
    ["serve", "restic", "--addr", `127.0.0.1:${port}`, ...flags, folder],
    port,
  );
}

/** A port that was free just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function startProcess(program: string, args: readonly string[], port: number): Promise<RestServer> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => output.push(piece));
  child.stderr.on("data", (piece: Buffer) => output.push(piece));
  await answering(child, port, () => Buffer.concat(output).toString());
  return { url: `http://127.0.0.1:${port}/`, stop: () => ended(child) };
}

/** Knocks until somebody opens. @throws {Error} with what the program said when it has ended instead */
async function answering(child: ChildProcess, port: number, said: () => string): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  while (!(await knock(port))) {
    if (child.exitCode !== null || Date.now() > giveUpAt)
      throw new Error(`Cannot start ${child.spawnfile}: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function knock(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
