import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { HttpClient, type HttpTarget } from "../../src/backend/http-client.js";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener, host = "127.0.0.1"): Promise<number> {
  const server: Server = createServer(listener).listen(0, host);
  closers.push(() => server.close().closeAllConnections());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function newClient(): HttpClient {
  const client = new HttpClient({});
  closers.push(() => client.close());
  return client;
}

function at(port: number, path = "/", hostname = "127.0.0.1"): HttpTarget {
  return { protocol: "http:", hostname, port: String(port), path };
}

const loopback = Object.entries(networkInterfaces()).find(([, addresses]) =>
  addresses?.some(({ address }) => address === "::1"),
)?.[0];

describe("HttpClient", () => {
  it.skipIf(loopback === undefined)(
    "reaches an address with a zone, and keeps the zone to itself",
    async () => {
      const hosts: unknown[] = [];
      const port = await serve(
        ({ headers }, response) => response.end(hosts.push(headers.host) && ""),
        "::1",
      );
      await newClient().send({ method: "GET", url: at(port, "/", `::1%${loopback}`), maxBytes: 0 });
      expect(hosts).toEqual([`[::1]:${port}`]);
    },
  );
});
