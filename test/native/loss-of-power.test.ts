import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LocalBackend } from "../../src/backend/local-backend.js";
import { loadAddon } from "../../src/native/addon.js";
import { NativeUpload, PortableUpload, SmallUpload, type Upload } from "../../src/server/upload.js";
import { ask } from "../server/ask.js";
import { canMakeLossyDisk, LossyDisk } from "../support/lossy-disk.js";
import { startYoreServer } from "../support/rest-servers.js";

const addon = loadAddon();

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

/** Saves something in the folder; when it resolves, it must last. @returns its path */
type Save = (folder: string, content: Buffer) => Promise<string>;

async function upload(begun: Upload, path: string, content: Buffer): Promise<string> {
  await begun.append([content]);
  expect(await begun.commit(sha256(content))).toBe("saved");
  await begun.discard();
  return path;
}

const ways: Readonly<Record<string, Save>> = {
  "a pack": async (folder, content) => {
    const path = join(folder, "pack");
    const file = await addon!.packFileOpen(Buffer.from(folder), "pack-tmp-1", 0o600);
    await addon!.packFileAppend(file, [content]);
    await addon!.packFileFinish(file, 0o400, true);
    await addon!.packFileCommit(file, Buffer.from(path));
    return path;
  },
  "a file of a local repository": async (folder, content) => {
    const backend = await LocalBackend.open(folder);
    const name = sha256(content).toString("hex");
    await backend.save({ type: "snapshot", name }, [content]);
    return join(folder, "snapshots", name);
  },
  "an upload": async (folder, content) => {
    const path = join(folder, "upload");
    return upload(await NativeUpload.begin(addon!, path, 0o600), path, content);
  },
  "a small upload": (folder, content) =>
    upload(new SmallUpload(join(folder, "small"), 0o600), join(folder, "small"), content),
  "an upload without the addon": async (folder, content) => {
    const path = join(folder, "portable");
    return upload(await PortableUpload.begin(path, 0o600), path, content);
  },
};

describe.skipIf(!addon || !canMakeLossyDisk())("after a loss of power there is", () => {
  let disk: LossyDisk;

  beforeEach(async () => {
    disk = await LossyDisk.make();
  });

  afterEach(() => disk.remove());

  async function isComplete(repository: string): Promise<void> {
    expect(readdirSync(repository)).toEqual(["data", "index", "keys", "locks", "snapshots"]);
    const content = randomBytes(5000);
    const backend = await LocalBackend.open(repository);
    await backend.save({ type: "pack", name: sha256(content).toString("hex") }, [content]);
    await backend.close();
  }

  it("a local repository that was created, and the folders above it", async () => {
    disk.lonelyFolder("between");
    disk.settle();
    await (await LocalBackend.open(join(disk.folder, "a/b/c"))).create();
    const found = join(await disk.afterLoss(), "a/b/c");
    await isComplete(found);
  });

  it("a repository that yore serve has created", async () => {
    disk.lonelyFolder("between");
    disk.settle();
    const server = await startYoreServer(disk.folder);
    const { status } = await ask(server.url, "POST", "/ada/laptop/?create=true");
    await server.stop();
    expect(status).toBe(200);
    const found = join(await disk.afterLoss(), "ada/laptop");
    await isComplete(found);
  });

  it.each(Object.entries(ways))("%s that was saved", async (_, save) => {
    const folder = disk.lonelyFolder("files");
    mkdirSync(join(folder, "snapshots"));
    disk.settle();
    const content = randomBytes(5000);
    const path = await save(folder, content);
    const found = readFileSync(join(await disk.afterLoss(), relative(disk.folder, path)));
    expect(found.equals(content)).toBe(true);
  });
});
