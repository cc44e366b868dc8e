import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServeOptions } from "../../src/server/server.js";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

const nameOf = (text: string) => createHash("sha256").update(text).digest("hex");

const HOUR_MS = 3_600_000;

/** What hears the alarms: a real server on this machine. */
class Hook {
  readonly heard: { readonly path: string; readonly type: string | undefined; readonly body: unknown }[] = [];
  /** How the next ones are answered; "never" leaves them waiting. */
  readonly answers: (number | "never")[] = [];
  readonly #server = createServer(this.#onRequest());
  #port = 0;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve()));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook?token=secret-token`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #onRequest(): RequestListener {
    return async (request, response) => {
      let text = "";
      for await (const piece of request) text += piece;
      this.heard.push({
        path: request.url!,
        type: request.headers["content-type"],
        body: JSON.parse(text) as unknown,
      });
      const answer = this.answers.shift() ?? 204;
      if (answer !== "never") response.writeHead(answer).end();
    };
  }
}

describe("stale alarms of yore serve", () => {
  let folder: string;
  let hook: Hook;
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  beforeEach(async () => {
    folder = await temporaryFolder();
    hook = new Hook();
    await hook.start();
  });

  afterEach(async () => {
    await server.stop();
    hook.stop();
  });

  /** As restic leaves it, with a snapshot that arrived so long ago. */
  function makeRepository(path: string, ageHours: number | undefined): void {
    const old = new Date(Date.now() - 1000 * HOUR_MS);
    mkdirSync(join(folder, path, "snapshots"), { recursive: true });
    writeFileSync(join(folder, path, "config"), "sealed");
    utimesSync(join(folder, path, "config"), old, old);
    if (ageHours === undefined) return;
    const snapshot = join(folder, path, "snapshots", nameOf(`${path} ${ageHours}`));
    writeFileSync(snapshot, "sealed");
    const time = new Date(Date.now() - ageHours * HOUR_MS);
    utimesSync(snapshot, time, time);
  }

  async function start(policy: string, options: Partial<ServeOptions> = {}): Promise<void> {
    writeFileSync(join(folder, "policy.toml"), policy);
    server = await startYoreServer(folder, {
      policyFile: join(folder, "policy.toml"),
      metrics: "open",
      staleCheckMs: 20,
      ...options,
    });
  }

  const saveSnapshot = (path: string) =>
    ask(server.url, "POST", `/${path}/snapshots/${nameOf("new")}`, { body: "new" });
  const metrics = async () => (await ask(server.url, "GET", "/metrics")).text;

  it("say which repositories have no snapshot young enough, by the most particular rule", async () => {
    for (const [path, age] of [
      ["ada/laptop", 30],
      ["ada/archive", 100],
      ["bob", 5],
      ["new", undefined],
    ] as const)
      makeRepository(path, age);
    await start(`
      stale-after = "4h"
      [users.ada]
      stale-after = "1d"
      [repositories."ada/archive"]
      stale-after = "30d"
    `);
    const stale = async () => [
      ...(await metrics()).matchAll(/^yore_server_repository_stale\{repo="(.*)"\} (\d)$/gm),
    ];
    await expect
      .poll(async () =>
        Object.fromEntries((await stale()).map(([, repository, value]) => [repository, value])),
      )
      .toEqual({ "ada/laptop": "1", "ada/archive": "0", bob: "1", new: "1" });
    expect((await saveSnapshot("bob")).status).toBe(200);
    expect(await metrics()).toContain('yore_server_repository_stale{repo="bob"} 0');
  });

  it("leave a repository alone that was made a while ago, and one without a limit", async () => {
    makeRepository("old", 1000);
    await start('[users.new]\nstale-after = "1h"\n');
    for (const [method, path] of [
      ["POST", "/new/?create=true"],
      ["POST", "/new/config"],
    ] as const)
      expect((await ask(server.url, method, path, { body: "sealed" })).status).toBe(200);
    expect(await metrics()).toContain('yore_server_repository_stale{repo="new"} 0');
    expect(await metrics()).not.toContain('yore_server_repository_stale{repo="old"}');
  });

  it("tell a webhook once that it is stale and once that it is not, and nothing more", async () => {
    makeRepository("ada", 30);
    await start(`webhook = "${hook.url}"\nstale-after = "1d"\n`);
    await expect.poll(() => hook.heard.length).toBe(1);
    const before = Date.now();
    expect((await saveSnapshot("ada")).status).toBe(200);
    await expect.poll(() => hook.heard.length).toBe(2);
    const [stale, recovered] = hook.heard;
    expect(stale).toEqual({
      path: "/hook?token=secret-token",
      type: "application/json",
      body: {
        event: "stale",
        repository: "ada",
        last_snapshot: expect.any(String),
        stale_after_seconds: 86_400,
      },
    });
    expect(recovered!.body).toMatchObject({ event: "recovered", repository: "ada" });
    const { last_snapshot } = recovered!.body as { last_snapshot: string };
    expect(Date.parse(last_snapshot)).toBeGreaterThanOrEqual(before);
    // Many looks later it is stale again: nothing was said meanwhile.
    writeFileSync(join(folder, "policy.toml"), `webhook = "${hook.url}"\nstale-after = "1s"\n`);
    await server.reload();
    await expect.poll(() => hook.heard.length, { timeout: 5_000 }).toBe(3);
    expect(hook.heard[2]!.body).toMatchObject({ event: "stale", repository: "ada", stale_after_seconds: 1 });
  });

  it("are told again when the webhook fails or hangs, and the log keeps its secret", async () => {
    makeRepository("ada", 30);
    hook.answers.push(500, "never", 302);
    await start(`webhook = "${hook.url}"\nstale-after = "1d"\n`, { staleDeadlineMs: 1_000 });
    await expect.poll(() => hook.heard.length, { timeout: 10_000 }).toBe(4);
    const log = server.log.filter((line) => line.includes("stale repositories"));
    expect(log.length).toBe(3);
    expect(log[0]).toMatch(/^Cannot tell 127\.0\.0\.1:\d+ of stale repositories: it answered with 500$/);
    expect(server.log.join("\n")).not.toContain("secret-token");
    expect(new Set(hook.heard.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it.each([
    ['stale-after = "soon"', /stale-after: expected a time/],
    ["stale-after = 0", /stale-after: expected a time/],
    ['webhook = "ftp://secret"', /webhook: expected an address of http or https/],
    ['webhook = "http://ada:secret@host/"', /webhook: expected no user and no password/],
    ['[users.ada]\nwebhook = "http://secret/"', /users\.ada\.webhook: unknown key/],
  ])("refuse %j without repeating it", async (policy, message) => {
    const refused = start(policy).then(
      () => "started",
      (error: Error) => error.message,
    );
    expect(await refused).toMatch(message);
    expect(await refused).not.toContain("secret");
    await start("");
    expect(readdirSync(folder)).toEqual(["policy.toml"]);
  });
});
