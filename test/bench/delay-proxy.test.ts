import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DelayProxy, freePort, startDelayProxy } from "../../scripts/bench/delay-proxy.js";

const DELAY_MS = 150;
const server = createServer(async (incoming, response) => response.end(await text(incoming)));
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
let proxy: DelayProxy;

beforeAll(async () => {
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  proxy = await startDelayProxy(port, DELAY_MS);
});

afterAll(async () => {
  agent.destroy();
  await proxy.close();
  server.close();
  server.closeAllConnections();
});

async function echo(body: string): Promise<string> {
  const outgoing = request({ port: proxy.port, host: "127.0.0.1", method: "POST", agent });
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  return text(response);
}

describe("startDelayProxy", () => {
  it("adds the delay to each request of a kept connection", async () => {
    for (let i = 0; i < 3; i++) {
      const started = performance.now();
      expect(await echo("hello")).toBe("hello");
      // Node.js counts timers in whole milliseconds.
      expect(performance.now() - started).toBeGreaterThanOrEqual(DELAY_MS - 1);
    }
  });

  it("does not make requests at the same time wait for each other", async () => {
    const started = performance.now();
    await Promise.all([1, 2, 3, 4].map((i) => echo(String(i))));
    expect(performance.now() - started).toBeLessThan(4 * DELAY_MS);
  });

  it("passes many bytes on in order", async () => {
    const body = Array.from({ length: 200_000 }, (_, i) => `${i}\n`).join("");
    expect((await echo(body)) === body).toBe(true);
  });
});
