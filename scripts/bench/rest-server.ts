/** The real rest-server over a folder of repositories, with a delay in front of it that both programs meet alike. */
import { spawn } from "node:child_process";
import { createConnection } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, startDelayProxy } from "./delay-proxy.js";
import { peer } from "./programs.js";

const START_LIMIT_MS = 10_000;

export interface Served {
  /** The location of a repository in the folder. */
  locationOf(name: string): string;
  close(): Promise<void>;
}

export async function serveDelayed(folder: string, delayMs: number): Promise<Served> {
  const port = await freePort();
  const argv = ["--no-auth", "--path", folder, "--listen", `127.0.0.1:${port}`];
  const server = spawn(peer("rest-server"), argv, { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => {
    server.once("exit", () => resolve());
    server.once("error", () => resolve());
  });
  const stop = async () => {
    server.kill();
    await gone;
  };
  const started = Date.now();
  while (!(await isListening(port))) {
    if (server.exitCode !== null || server.pid === undefined || Date.now() - started > START_LIMIT_MS) {
      await stop();
      throw new Error(`rest-server does not start over ${folder}: scripts/peers brings it`);
    }
    await delay(10);
  }
  const proxy = await startDelayProxy(port, delayMs);
  return {
    locationOf: (name) => `rest:http://127.0.0.1:${proxy.port}/${name}/`,
    async close() {
      await proxy.close();
      await stop();
    },
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
