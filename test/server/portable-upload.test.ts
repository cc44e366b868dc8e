import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { PortableUpload } from "../../src/server/upload.js";
import { loseEnd } from "../support/lose-end.js";
import { temporaryFolder } from "../support/temporary.js";

describe("PortableUpload", () => {
  const content = randomBytes(1000);
  const id = createHash("sha256").update(content).digest();
  let folder: string;
  let upload: PortableUpload;
  beforeEach(async () => {
    folder = await temporaryFolder();
    upload = await PortableUpload.begin(join(folder, "file"), 0o600);
    await upload.append([content]);
  });

  it("saves a file that is whole", async () => {
    expect(await upload.commit(id)).toBe("saved");
    expect(readFileSync(join(folder, "file")).equals(content)).toBe(true);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("replaces nothing", async () => {
    writeFileSync(join(folder, "file"), "first");
    expect(await upload.commit(id)).toBe("exists");
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("first");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("saves nothing of which the file system lost a part", async () => {
    loseEnd(folder, 999);
    await expect(upload.commit(id)).rejects.toThrow("wrote 1000 bytes, but there are 999");
    expect(readdirSync(folder)).toEqual([]);
  });
});
