import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ChildMount } from "../support/child-mount.js";
import { canMountWithRclone, mountWithRclone } from "../support/rclone-mount.js";
import { startYoreServer } from "../support/rest-servers.js";
import { temporaryFolder } from "../support/temporary.js";
import { ask } from "./ask.js";

describe.skipIf(!canMountWithRclone())("a file system that takes one spelling for another", () => {
  let mount: ChildMount;
  let server: Awaited<ReturnType<typeof startYoreServer>> | undefined;

  beforeAll(async () => {
    mount = await mountWithRclone(["--vfs-case-insensitive"]);
  });

  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  afterAll(() => mount?.unmount());

  const status = async (user: string, method: string, path: string, body?: string) =>
    (await ask(server!.url, method, path, { headers: { user }, ...(body !== undefined && { body }) })).status;

  it("does so indeed", () => {
    mkdirSync(join(mount.folder, "Folder"));
    expect(existsSync(join(mount.folder, "fOLDER"))).toBe(true);
  });

  it("leads nobody past the rules of a repository", async () => {
    const policyFile = join(await temporaryFolder(), "policy.toml");
    writeFileSync(policyFile, '[repositories."ada/laptop"]\nmode = "append-only"\n');
    const authentication = { kind: "proxy" as const, header: "user" };
    server = await startYoreServer(mount.folder, { policyFile, authentication });
    expect(await status("ada", "POST", "/ada/laptop/?create=true")).toBe(200);
    expect(await status("ada", "POST", "/ada/laptop/config", "a config")).toBe(200);
    expect(await status("ada", "DELETE", "/ada/laptop/config")).toBe(403);
    for (const folder of ["/ada/LAPTOP", "/Ada/laptop"]) {
      expect(await status("ada", "DELETE", `${folder}/config`)).toBe(404);
      expect(await status("ada", "GET", `${folder}/config`)).toBe(404);
      expect(await status("ada", "GET", `${folder}/keys/`)).toBe(404);
      expect(await status("ada", "POST", `${folder}/?create=true`)).toBe(404);
    }
    expect(await status("ada", "GET", "/ada/laptop/config")).toBe(200);
  });

  it("leads nobody into the folder of another", async () => {
    server = await startYoreServer(mount.folder, {
      privateRepositories: true,
      authentication: { kind: "proxy", header: "user" },
    });
    expect(await status("eve", "POST", "/eve/?create=true")).toBe(200);
    expect(await status("eve", "POST", "/eve/config", "a config")).toBe(200);
    expect(await status("Eve", "GET", "/Eve/config")).toBe(404);
    expect(await status("eve", "GET", "/eve/config")).toBe(200);
  });
});
