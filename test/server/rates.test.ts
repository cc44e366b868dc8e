import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { runYore } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

const nameOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** A second's worth passes at once: the rest takes at least this long, however quick the machine. */
const leastSeconds = (bytes: number, rate: number) => bytes / rate - 1;

describe("rates over a socket", () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => server.stop());

  describe("of the server", () => {
    const RATE = 400 * 1024;
    const content = Array.from({ length: 4 }, () => randomBytes(500 * 1024));
    const as = (user: string) => ({ headers: { user } });

    async function start(policy: string): Promise<void> {
      writeFileSync(join(folder, "policy.toml"), policy);
      server = await startYoreServer(folder, {
        policyFile: join(folder, "policy.toml"),
        authentication: { kind: "proxy", header: "user" },
      });
      for (const repository of ["ada", "bob"])
        expect((await ask(server.url, "POST", `/${repository}/?create=true`, as("root"))).status).toBe(200);
    }

    async function upload(user: string, repository: string, body: Uint8Array): Promise<void> {
      const path = `/${repository}/data/${nameOf(body)}`;
      expect((await ask(server.url, "POST", path, { body, ...as(user) })).status).toBe(200);
    }

    async function download(user: string, repository: string, body: Uint8Array): Promise<void> {
      const answer = await ask(server.url, "GET", `/${repository}/data/${nameOf(body)}`, as(user));
      expect(answer.body.equals(body)).toBe(true);
    }

    it("hold for all requests of a user together, and for no other user", async () => {
      await start('[users.ada]\nupload-rate = "400k"\ndownload-rate = "400k"\n');
      for (const work of [upload, download]) {
        const [ada, bob] = await Promise.all([
          secondsOf(() => Promise.all(content.slice(0, 2).map((body) => work("ada", "ada", body)))),
          secondsOf(() => Promise.all(content.slice(2).map((body) => work("bob", "bob", body)))),
        ]);
        expect(ada, work.name).toBeGreaterThanOrEqual(leastSeconds(1000 * 1024, RATE) - 0.05);
        expect(bob, work.name).toBeLessThan(ada / 2);
      }
    });

    it("hold for a repository, whoever asks, until the file says otherwise", async () => {
      await start('[repositories.ada]\nupload-rate = "400k"\n');
      const slow = await secondsOf(() =>
        Promise.all([upload("ada", "ada", content[0]!), upload("bob", "ada", content[1]!)]),
      );
      expect(slow).toBeGreaterThanOrEqual(leastSeconds(1000 * 1024, RATE) - 0.05);
      writeFileSync(join(folder, "policy.toml"), "# no rules\n");
      await server.reload();
      const quick = await secondsOf(() =>
        Promise.all([upload("ada", "ada", content[2]!), upload("bob", "ada", content[3]!)]),
      );
      expect(quick).toBeLessThan(slow / 2);
    });
  });

  it("of the client hold for what a backup sends and a dump fetches", async () => {
    server = await startYoreServer(folder);
    const source = join(await temporaryFolder(), "file");
    const content = randomBytes(900 * 1024);
    writeFileSync(source, content);
    const env = { YORE_PASSWORD: "x", YORE_REPOSITORY: `rest:${server.url}repo/` };
    const yore = async (...args: string[]) => {
      const result = await runYore(["--no-cache", ...args], { env });
      expect(result).toMatchObject({ code: 0, stderr: "" });
      return result.stdoutBytes;
    };
    await yore("init");
    const least = leastSeconds(content.length, 300 * 1024) - 0.05;
    expect(await secondsOf(() => yore("backup", "--limit-upload", "300", source))).toBeGreaterThan(least);
    const started = performance.now();
    const dumped = await yore("dump", "--limit-download", "300", "latest", source);
    expect((performance.now() - started) / 1000).toBeGreaterThan(least);
    expect(dumped.equals(content)).toBe(true);
  });
});
