/**
 * A TCP proxy that holds back all that the client says for a fixed time: each request over a kept connection then takes so
 * much longer, as behind a distant server, while the bandwidth stays as it is. What the server says passes at once.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";

export interface DelayProxy {
  readonly port: number;
  close(): Promise<void>;
}

/** @param port of the server on this machine @param delayMs added to each round trip */
export async function startDelayProxy(port: number, delayMs: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = createConnection(port, "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => other.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    upstream.pipe(client);
    // Timers of one duration fire in the order in which they were set, so the bytes stay in order.
    client.on("data", (bytes) => setTimeout(() => upstream.write(bytes), delayMs));
    client.on("end", () => setTimeout(() => upstream.end(), delayMs));
  });
  await listen(server);
  return {
    port: portOf(server),
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve());
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");
  return address.port;
}
