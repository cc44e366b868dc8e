import { createHash, randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../src/native/addon.js";
import { NativeUpload, PortableUpload } from "../../src/server/upload.js";
import type { ChildMount } from "../support/child-mount.js";
import { canMountWithRclone, mountWithRclone } from "../support/rclone-mount.js";
import { startYoreServer } from "../support/rest-servers.js";
import { runYore } from "../support/run.js";
import { ask } from "./ask.js";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const addon = loadAddon();

describe.skipIf(!canMountWithRclone())("a file system without hard links", () => {
  let mount: ChildMount;
  beforeAll(async () => {
    mount = await mountWithRclone();
  });
  afterAll(() => mount?.unmount());

  function newFolder(name: string): string {
    mkdirSync(join(mount.folder, name));
    return join(mount.folder, name);
  }

  it("refuses them indeed", () => {
    const folder = newFolder("links");
    writeFileSync(join(folder, "a"), "");
    expect(() => linkSync(join(folder, "a"), join(folder, "b"))).toThrow("EPERM");
  });

  const implementations = {
    portable: (path: string) => PortableUpload.begin(path, 0o600),
    ...(addon && { native: (path: string) => NativeUpload.begin(addon, path, 0o600) }),
  };

  it.each(Object.entries(implementations))("takes uploads, and replaces nothing: %s", async (name, begin) => {
    const folder = newFolder(name);
    const path = join(folder, "file");
    const content = randomBytes(300_000);
    const uploads = await Promise.all(Array.from({ length: 8 }, () => begin(path)));
    const outcomes = await Promise.all(
      uploads.map(async (upload) => {
        await upload.append([content]);
        return upload.commit(sha256(content));
      }),
    );
    expect(outcomes.sort()).toEqual([...Array(7).fill("exists"), "saved"]);
    const late = await begin(path);
    await late.append([Buffer.from("another")]);
    expect(await late.commit(undefined)).toBe("exists");
    const wrong = await begin(join(folder, "wrong"));
    await wrong.append([content]);
    expect(await wrong.commit(Buffer.alloc(32))).toBe("wrong-hash");
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("serves a repository, and brings back what was deleted", async () => {
    const folder = newFolder("served");
    const server = await startYoreServer(folder, { keepDeletedMs: 86_400_000 });
    try {
      const status = async (method: string, path: string, body?: Buffer) =>
        (await ask(server.url, method, path, body ? { body } : {})).status;
      expect(await status("POST", "/?create=true")).toBe(200);
      const [small, large] = [randomBytes(200), randomBytes(1_000_003)];
      for (const [type, content] of [["snapshots", small] as const, ["data", large] as const]) {
        const path = `/${type}/${sha256(content).toString("hex")}`;
        expect(await status("POST", path, content)).toBe(200);
        expect(await status("POST", path, content)).toBe(403);
        expect((await ask(server.url, "GET", path)).body.equals(content)).toBe(true);
        expect(await status("DELETE", path)).toBe(200);
        expect(await status("GET", path)).toBe(404);
        const undelete = await runYore(["undelete", folder]);
        expect(undelete).toMatchObject({ code: 0, stderr: "" });
        expect((await ask(server.url, "GET", path)).body.equals(content)).toBe(true);
        expect(await status("DELETE", path)).toBe(200);
        expect(await status("POST", path, content)).toBe(200);
        expect((await runYore(["undelete", folder])).stdout).toContain("were there again already");
      }
    } finally {
      await server.stop();
    }
  });
});
