import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { FileWriter, type WrittenFile } from "../../src/restorer/file-writer.js";
import { PortableFileCalls } from "../../src/restorer/portable-file-calls.js";
import { TargetFolder } from "../../src/restorer/target-folder.js";
import { createRepository } from "../repository/support.js";
import type { ChildMount } from "../support/child-mount.js";
import { canMountFailingClose, mountWithFailingClose } from "../support/failing-close.js";
import { file, restoreTo, saveTree } from "./support.js";

const { EIO } = constants.errno;

describe.skipIf(!(await canMountFailingClose()))("a file system that tells of failures at close", () => {
  let mount: ChildMount | undefined;

  afterEach(async () => {
    await mount?.unmount();
    mount = undefined;
  });

  it("costs the files that it tells of, whether they are small or large", async () => {
    mount = await mountWithFailingClose(EIO);
    const repository = await createRepository();
    const names = ["lost small", "lost large", "small", "large"];
    const nodes = await Promise.all(
      names.map((name) =>
        file(
          repository,
          name,
          ...(name.endsWith("small") ? [randomBytes(50)] : [randomBytes(9), randomBytes(9)]),
        ),
      ),
    );
    const { errors } = await restoreTo(repository, await saveTree(repository, nodes), mount.folder);
    expect(errors.map(({ location }) => location).sort()).toEqual(["/lost large", "/lost small"]);
    expect((await readdir(mount.folder)).sort()).toEqual(["large", "lost large.incomplete", "small"]);
  });

  it("tells of the file that was closed to make room for others, and of no other", async () => {
    mount = await mountWithFailingClose(EIO);
    const writer = new FileWriter(new TargetFolder(mount.folder), { sparse: false, removeFolders: false });
    const files = Array.from({ length: 200 }, (_, i): WrittenFile => {
      return { location: `/${i === 3 ? "lost" : "file"} ${i}`, size: 6, isFresh: true, keepsContent: false };
    });
    const failed: string[] = [];
    try {
      for (const [offset, text] of [
        [0, "one"],
        [3, "two"],
      ] as const)
        for (const one of files) await writer.write(one, Buffer.from(text), offset);
      for (const one of files) await writer.finish(one).catch(() => failed.push(one.location));
    } finally {
      await writer.close();
    }
    expect(failed).toEqual(["/lost 3"]);
  });

  it("leaves nothing of a file that may be half a file, without the addon", async () => {
    mount = await mountWithFailingClose(EIO);
    const runner = new PortableFileCalls(Buffer.from(mount.folder));
    const failures = await runner.run([
      { kind: "directory", name: Buffer.from("") },
      { kind: "write", name: Buffer.from("lost"), data: Buffer.from("data") },
      { kind: "write", name: Buffer.from("kept"), data: Buffer.from("data") },
    ]);
    expect(failures).toMatchObject([{ position: 1, code: "EIO" }]);
    expect(await readdir(mount.folder)).toEqual(["kept"]);
    expect(await readFile(join(mount.folder, "kept"), "utf8")).toBe("data");
  });
});
