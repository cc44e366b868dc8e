import { createHash } from "node:crypto";
import { existsSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

const nameOf = (text: string) => createHash("sha256").update(text).digest("hex");

describe("what a monitor sees of yore serve", () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof startYoreServer>>;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => server.stop());

  const metrics = async () => (await ask(server.url, "GET", "/metrics")).text;
  const read = async (series: string) => {
    const line = (await metrics()).split("\n").find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length));
  };

  it("counts requests by how long they took, failures, and connections that are open", async () => {
    server = await startYoreServer(folder, { metrics: "open" });
    await ask(server.url, "POST", "/?create=true");
    for (const content of ["a", "b"])
      expect((await ask(server.url, "POST", `/keys/${nameOf(content)}`, { body: content })).status).toBe(200);
    for (const path of [nameOf("a"), nameOf("b"), nameOf("c")]) await ask(server.url, "GET", `/keys/${path}`);
    await ask(server.url, "POST", `/keys/${nameOf("d")}`, { body: "not d" });

    const requests = (method: string, status: number, rest = "") =>
      `{${rest}method="${method}",status="${status}"}`;
    const name = "yore_server_request_duration_seconds";
    expect(await read(`${name}_count${requests("GET", 404)}`)).toBe(1);
    // The creation, and the two files.
    expect(await read(`${name}_count${requests("POST", 200)}`)).toBe(3);
    expect(await read(`${name}_bucket${requests("POST", 200, 'le="+Inf",')}`)).toBe(3);
    expect(await read(`${name}_sum${requests("POST", 200)}`)).toBeGreaterThan(0);
    expect(await read('yore_server_failures_total{status="404"}')).toBe(1);
    expect(await read('yore_server_failures_total{status="400"}')).toBe(1);

    const { hostname, port } = new URL(server.url);
    const sockets = await Promise.all([1, 2, 3].map(() => connected(Number(port), hostname)));
    // The three, and the one that asks.
    await expect.poll(() => read("yore_server_open_connections")).toBe(4);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => read("yore_server_open_connections")).toBe(1);
  });

  it("shows only repositories that are there, and no time of a snapshot when the last one was removed", async () => {
    server = await startYoreServer(folder, { metrics: "open" });
    const name = nameOf("snapshot");
    const save = async (repository: string) =>
      (await ask(server.url, "POST", `${repository}/snapshots/${name}`, { body: "snapshot" })).status;
    expect(await save("/nobody")).toBe(404);
    expect(await metrics()).not.toContain("nobody");
    await ask(server.url, "POST", "/ada/?create=true");
    expect(await save("/ada")).toBe(200);
    const time = 'yore_server_repository_last_snapshot_timestamp_seconds{repo="ada"}';
    expect(await read(time)).toBeGreaterThan(1e9);
    expect((await ask(server.url, "DELETE", `/ada/snapshots/${name}`)).status).toBe(200);
    expect(await read(time)).toBe(0);
  });

  it("counts repositories and users' folders that are links to another disk, and none of them twice", async () => {
    const elsewhere = await temporaryFolder();
    for (const path of ["user/laptop/keys", "repository/keys"]) {
      mkdirSync(join(elsewhere, path), { recursive: true });
      writeFileSync(join(elsewhere, path, nameOf("key")), "key");
    }
    symlinkSync(join(elsewhere, "user"), join(folder, "ada"));
    symlinkSync(join(elsewhere, "repository"), join(folder, "bob"));
    symlinkSync("bob", join(folder, "alias"));
    symlinkSync("ada", join(folder, "other-alias"));
    symlinkSync(join(elsewhere, "nowhere"), join(folder, "eve"));
    const abandoned = join(folder, `bob/keys/upload-tmp-${"0".repeat(16)}`);
    writeFileSync(abandoned, "a part");
    utimesSync(abandoned, 1, 1);

    server = await startYoreServer(folder, { metrics: "open", maxSize: 10 });
    await expect.poll(() => existsSync(abandoned)).toBe(false);
    const upload = async (content: string) =>
      (await ask(server.url, "POST", `/bob/keys/${nameOf(content)}`, { body: content })).status;
    expect(await upload("12345")).toBe(507);
    expect(await upload("1234")).toBe(200);
    const series = (await metrics()).match(/^yore_server_repository_bytes\{.*$/gm);
    expect(series!.sort()).toEqual([
      'yore_server_repository_bytes{repo="ada/laptop"} 3',
      'yore_server_repository_bytes{repo="bob"} 7',
    ]);
  });

  it("is healthy without a password, and shows nothing else by it", async () => {
    writeFileSync(join(folder, ".htpasswd"), "");
    server = await startYoreServer(folder, {
      authentication: { kind: "passwords", path: join(folder, ".htpasswd") },
      metrics: "with-password",
    });
    const health = await ask(server.url, "GET", "/healthz");
    expect([health.status, health.text]).toEqual([200, "ok\n"]);
    for (const path of ["/metrics", "/config", "/data/"])
      expect((await ask(server.url, "GET", path)).status, path).toBe(401);
  });

  it("follows a policy file that changes, without being told", async () => {
    const policy = join(folder, "policy.toml");
    writeFileSync(policy, 'mode = "read-only"\n');
    server = await startYoreServer(folder, { policyFile: policy });
    const create = async () => (await ask(server.url, "POST", "/?create=true")).status;
    expect(await create()).toBe(403);
    writeFileSync(policy, 'mode = "full"\n');
    await expect.poll(create, { timeout: 20_000, interval: 100 }).toBe(200);
  });
});

function connected(port: number, hostname: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname, () => resolve(socket));
    socket.on("error", reject);
  });
}
