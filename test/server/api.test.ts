import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { type Answer, ask, askRaw, type Question } from "./ask.js";

const V1 = "application/vnd.x.restic.rest.v1";
const V2 = "application/vnd.x.restic.rest.v2";
const TYPES = ["data", "index", "keys", "locks", "snapshots"] as const;

const nameOf = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** Every line of the table of requests that rest-server answers, over a real socket. */
describe("the REST protocol of yore serve", () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof startYoreServer>>;
  const tell = (method: string, path: string, question?: Question): Promise<Answer> =>
    ask(server.url, method, path, question);

  beforeEach(async () => {
    folder = await temporaryFolder();
    server = await startYoreServer(folder);
    expect((await tell("POST", "/repo/?create=true")).status).toBe(200);
  });

  afterEach(() => server.stop());

  async function upload(type: string, content: Uint8Array | string): Promise<string> {
    const name = nameOf(content);
    expect((await tell("POST", `/repo/${type}/${name}`, { body: content })).status).toBe(200);
    return name;
  }

  it("creates a repository with all its folders, and again without harm", async () => {
    expect(readdirSync(join(folder, "repo")).sort()).toEqual(TYPES.toSorted());
    expect(readdirSync(join(folder, "repo/data")).length).toBe(256);
    const name = await upload("keys", "key");
    expect((await tell("POST", "/repo/?create=true")).status).toBe(200);
    expect((await tell("HEAD", `/repo/keys/${name}`)).status).toBe(200);
    expect((await tell("POST", "/?create=true")).status).toBe(200);
    expect((await tell("POST", "/a/b/?create=true")).status).toBe(200);
    expect((await tell("POST", "/a/b/c/?create=true")).status).toBe(404);
    expect((await tell("POST", "/repo/")).status).toBe(400);
    expect((await tell("POST", "/repo/?create=false")).status).toBe(400);
    const other = await tell("GET", "/repo/");
    expect([other.status, other.headers["allow"]]).toEqual([405, "POST"]);
    expect((await tell("DELETE", "/repo/")).status).toBe(405);
  });

  it("keeps a config: once written, not replaced, removed and written again", async () => {
    expect((await tell("HEAD", "/repo/config")).status).toBe(404);
    expect((await tell("GET", "/repo/config")).status).toBe(404);
    expect((await tell("POST", "/repo/config", { body: "first" })).status).toBe(200);
    const head = await tell("HEAD", "/repo/config");
    expect([head.status, head.headers["content-length"]]).toEqual([200, "5"]);
    expect((await tell("GET", "/repo/config")).text).toBe("first");
    expect((await tell("POST", "/repo/config", { body: "second" })).status).toBe(403);
    expect((await tell("GET", "/repo/config")).text).toBe("first");
    expect((await tell("DELETE", "/repo/config")).status).toBe(200);
    expect((await tell("DELETE", "/repo/config")).status).toBe(200);
    expect((await tell("POST", "/repo/config", { body: "second" })).status).toBe(200);
    expect(statSync(join(folder, "repo/config")).mode & 0o777).toBe(0o600);
  });

  it.each(TYPES)("saves, lists, loads and removes %s", async (type) => {
    const content = randomBytes(100_000);
    const path = `/repo/${type}/${nameOf(content)}`;
    expect((await tell("HEAD", path)).status).toBe(404);
    expect((await tell("POST", path, { body: content })).status).toBe(200);
    const head = await tell("HEAD", path);
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, "100000", 0]);
    const got = await tell("GET", path);
    expect(got.body.equals(content)).toBe(true);
    expect(got.headers["accept-ranges"]).toBe("bytes");
    expect((await tell("POST", path, { body: content })).status).toBe(403);
    expect((await tell("DELETE", path)).status).toBe(200);
    expect((await tell("GET", path)).status).toBe(404);
    expect((await tell("DELETE", path)).status).toBe(200);
    const other = await tell("PUT", path);
    expect([other.status, other.headers["allow"]]).toEqual([405, "GET, HEAD, POST, DELETE"]);
  });

  it("lists names, or names with sizes for those who ask", async () => {
    const sizes = new Map<string, number>();
    for (let size = 0; size < 40; size++) sizes.set(await upload("data", randomBytes(size)), size);
    const first = await tell("GET", "/repo/data/");
    expect([first.status, first.headers["content-type"]]).toEqual([200, V1]);
    expect(new Set(JSON.parse(first.text))).toEqual(new Set(sizes.keys()));
    for (const accept of [V2, `${V2}, */*`, `text/html, ${V2};q=0.9`]) {
      const second = await tell("GET", "/repo/data/", { headers: { accept } });
      expect(second.headers["content-type"]).toBe(V2);
      const entries = JSON.parse(second.text) as { name: string; size: number }[];
      expect(new Map(entries.map(({ name, size }) => [name, size]))).toEqual(sizes);
    }
    expect((await tell("GET", "/repo/index/", { headers: { accept: V2 } })).text).toBe("[]");
    expect((await tell("GET", "/repo/index")).status).toBe(404);
    expect((await tell("POST", "/repo/index/")).status).toBe(405);
    expect((await tell("GET", "/nobody/index/")).status).toBe(404);
  });

  it("lists nothing but whole files", async () => {
    const name = await upload("data", "pack");
    const shard = join(folder, "repo/data", name.slice(0, 2));
    writeFileSync(join(shard, `upload-tmp-${"0".repeat(16)}`), "");
    writeFileSync(join(shard, `${name}.rest-server-temp123`), "");
    mkdirSync(join(shard, `${name.slice(0, 2)}${"0".repeat(62)}`));
    const answer = await tell("GET", "/repo/data/", { headers: { accept: V2 } });
    expect(JSON.parse(answer.text)).toEqual([{ name, size: 4 }]);
  });

  it("lists folders that lie on another disk, and passes over what only bears the name of one", async () => {
    const pack = await upload("data", "pack");
    const index = await upload("index", "index");
    const elsewhere = await temporaryFolder();
    for (const part of ["index", `data/${pack.slice(0, 2)}`]) {
      renameSync(join(folder, "repo", part), join(elsewhere, part.replace("/", "-")));
      symlinkSync(join(elsewhere, part.replace("/", "-")), join(folder, "repo", part));
    }
    const others = ["00", "77", "ff"].filter((shard) => shard !== pack.slice(0, 2)).slice(0, 2);
    for (const shard of others) rmSync(join(folder, "repo/data", shard), { recursive: true });
    writeFileSync(join(folder, "repo/data", others[0]!), "a stray file");
    symlinkSync(join(elsewhere, "not mounted"), join(folder, "repo/data", others[1]!));

    expect(JSON.parse((await tell("GET", "/repo/index/")).text)).toEqual([index]);
    expect(JSON.parse((await tell("GET", "/repo/data/")).text)).toEqual([pack]);
    expect((await tell("GET", `/repo/data/${pack}`)).text).toBe("pack");

    await server.stop();
    server = await startYoreServer(folder, { metrics: "open" });
    const bytes = async () =>
      /repository_bytes\{repo="repo"\} \d+/.exec((await tell("GET", "/metrics")).text)?.[0];
    await expect.poll(bytes).toBe('repository_bytes{repo="repo"} 9');
    expect(server.log).toEqual([]);
  });

  it("gives ranges: one, a suffix, the end, several", async () => {
    const content = randomBytes(10_000);
    const path = `/repo/data/${await upload("data", content)}`;
    const range = (text: string) => tell("GET", path, { headers: { range: text } });
    for (const [text, from, to] of [
      ["bytes=0-0", 0, 1],
      ["bytes=100-199", 100, 200],
      ["bytes=9990-20000", 9_990, 10_000],
      ["bytes=9000-", 9_000, 10_000],
      ["bytes=-500", 9_500, 10_000],
      ["bytes=-50000", 0, 10_000],
      ["bytes=0-9,", 0, 10],
    ] as const) {
      const answer = await range(text);
      expect(answer.status, text).toBe(206);
      expect(answer.headers["content-range"]).toBe(`bytes ${from}-${to - 1}/10000`);
      expect(answer.body.equals(content.subarray(from, to)), text).toBe(true);
    }
    const several = await range("bytes=0-9,5000-5009");
    expect(several.status).toBe(206);
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(
      String(several.headers["content-type"]),
    )![1]!;
    const parts = several.body.toString("latin1").split(`--${boundary}`);
    expect(parts.length).toBe(4);
    expect(parts[1]!.endsWith(`${content.subarray(0, 10).toString("latin1")}\r\n`)).toBe(true);
    expect(parts[2]).toContain("Content-Range: bytes 5000-5009/10000");
    for (const beyond of ["bytes=10000-", "bytes=20000-30000", "bytes=-0"]) {
      const answer = await range(beyond);
      expect([answer.status, answer.headers["content-range"]], beyond).toEqual([416, "bytes */10000"]);
    }
    for (const ignored of ["lines=1-2", "bytes=abc", "bytes=5-2", "bytes=-", "bytes=,"])
      expect((await range(ignored)).status, ignored).toBe(200);
    const empty = `/repo/data/${await upload("data", "")}`;
    for (const whole of ["bytes=0-", "bytes=0-99", "bytes=-1"])
      expect((await tell("GET", empty, { headers: { range: whole } })).status, whole).toBe(200);
    // There is nothing that could be the same: no answer has a version.
    const changed = await tell("GET", path, { headers: { range: "bytes=0-9", "if-range": '"x"' } });
    expect([changed.status, changed.body.length]).toEqual([200, 10_000]);
  });

  it("refuses an upload with a wrong hash, and keeps nothing of it", async () => {
    const path = `/repo/data/${nameOf("right")}`;
    const answer = await tell("POST", path, { body: "wrong" });
    expect(answer.status).toBe(400);
    expect((await tell("HEAD", path)).status).toBe(404);
    expect(filesBelow(join(folder, "repo"))).toEqual([]);
    expect((await tell("POST", path, { body: "right" })).status).toBe(200);
  });

  it("takes bodies without a length", async () => {
    const content = "sent in chunks";
    const path = `/repo/keys/${nameOf(content)}`;
    const { request } = await import("node:http");
    const status = await new Promise((resolve, reject) => {
      const post = request(new URL(path, server.url), { method: "POST" }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      post.on("error", reject);
      for (const letter of content) post.write(letter);
      post.end();
    });
    expect(status).toBe(200);
    expect((await tell("GET", path)).text).toBe(content);
  });

  it.each([
    ["a small file", 5],
    ["a large one", 100_000],
  ])("makes the folders that a repository lacks for %s, but no missing repository", async (_, size) => {
    writeFileSync(join(folder, "repo/config"), "config");
    mkdirSync(join(folder, "unmounted"));
    for (const type of TYPES) {
      const content = randomBytes(size);
      for (const lost of TYPES) rmSync(join(folder, "repo", lost), { recursive: true, force: true });
      const name = await upload(type, content);
      expect((await tell("GET", `/repo/${type}/`)).text).toContain(name);
      for (const repository of ["gone", "unmounted"])
        expect((await tell("POST", `/${repository}/${type}/${name}`, { body: content })).status).toBe(404);
    }
    expect(existsSync(join(folder, "gone"))).toBe(false);
    expect(readdirSync(join(folder, "unmounted"))).toEqual([]);
  });

  it("takes whole URLs for paths, as a client sends them to a proxy", async () => {
    const host = "http://other.example:80";
    expect((await tell("POST", `${host}/whole/?create=true`)).status).toBe(200);
    expect((await tell("POST", `${host}/whole/keys/${nameOf("key")}`, { body: "key" })).status).toBe(200);
    expect((await tell("GET", `HTTPS://h/whole/keys/${nameOf("key")}`)).text).toBe("key");
    expect((await tell("GET", `ftp://h/whole/keys/${nameOf("key")}`)).status).toBe(404);
  });

  it("asks for a body only when it will take it", async () => {
    const content = randomBytes(100_000);
    const post = (bytes: Uint8Array) =>
      `POST /repo/data/${nameOf(bytes)} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n` +
      `Expect: 100-continue\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    const taken = await askRaw(server.url, Buffer.concat([Buffer.from(post(content)), content]));
    expect(taken).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(await askRaw(server.url, post(content))).toMatch(/^HTTP\/1\.1 403 /);
  });

  it("answers on /healthz to everybody, and on /metrics when asked to", async () => {
    expect((await tell("GET", "/healthz")).text).toBe("ok\n");
    expect((await tell("GET", "/metrics")).status).toBe(404);
  });

  it("says no in a sentence and keeps the system's words for its log", async () => {
    writeFileSync(join(folder, "repo/broken"), "");
    rmSync(join(folder, "repo/index"), { recursive: true });
    writeFileSync(join(folder, "repo/index"), "a file where a folder should be");
    const answer = await tell("GET", "/repo/index/");
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain(folder);
    expect(server.log.join("\n")).toContain("ENOTDIR");
  });

  it("reads what it has written as any program would", async () => {
    const name = await upload("snapshots", "content");
    expect(readFileSync(join(folder, "repo/snapshots", name), "utf8")).toBe("content");
    expect(statSync(join(folder, "repo/snapshots", name)).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "repo/snapshots")).mode & 0o777).toBe(0o700);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}
