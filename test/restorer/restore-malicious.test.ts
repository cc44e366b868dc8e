import { mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRepository, node } from "../repository/support.js";
import { run } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import {
  common,
  file,
  folderOf,
  listing,
  restoreTo,
  saveForgedTree,
  saveTree,
  symlinkTo,
} from "./support.js";

describe("restore of a malicious tree", () => {
  const BAD_NAMES = [
    "..",
    ".",
    "/",
    "../escaped",
    "a/b",
    "/escaped",
    "folder/../../escaped",
    "",
    "nul\0byte",
  ];

  it.each(BAD_NAMES)("refuses the name %j and writes nothing outside", async (name) => {
    const repository = await createRepository();
    const data = await saveTree(repository, [await file(repository, "escaped", Buffer.from("bad"))]);
    for (const bad of [
      await file(repository, name, Buffer.from("bad")),
      symlinkTo(name, "/"),
      node(name, common({ type: "fifo", content: null })),
      folderOf(name, data),
    ]) {
      const tree = await saveForgedTree(repository, [
        bad,
        await file(repository, "good", Buffer.from("good")),
      ]);
      const outside = await temporaryFolder();
      const target = join(outside, "target");
      await mkdir(target);
      await writeFile(join(target, "extra"), "kept, since the tree cannot be trusted");
      const { errors } = await restoreTo(repository, tree, target, { delete: true });
      expect(errors.length).toBeGreaterThan(0);
      expect(await listing(outside)).toEqual(["target", "target/extra", "target/good"]);
    }
  });

  it("does not follow a link of the snapshot that has the name of one of its folders", async () => {
    const repository = await createRepository();
    const outside = await temporaryFolder();
    await writeFile(join(outside, "precious"), "precious");
    const fifo = node("precious", common({ type: "fifo", content: null }));
    const hidden = symlinkTo("precious", "nowhere");
    const first = await file(repository, "first", Buffer.from("x"));
    const linked = { links: 2, inode: 7n, deviceId: 1n };
    for (const inside of [fifo, hidden, { ...first, ...linked, name: Buffer.from("precious") }]) {
      const below = await saveTree(repository, [inside]);
      const link = symlinkTo("trap", outside);
      const trap = folderOf("trap", below);
      const other = { ...first, ...linked };
      for (const nodes of [
        [other, link, trap],
        [other, trap, link],
        [other, trap, link, trap],
      ]) {
        const tree = await saveForgedTree(repository, nodes);
        for (const options of [{}, { delete: true }, { overwrite: "never" as const }])
          await restoreTo(repository, tree, await temporaryFolder(), options);
        expect(await listing(outside)).toEqual(["precious"]);
        expect(await readFile(join(outside, "precious"), "utf8")).toBe("precious");
      }
    }
  });

  it("replaces links in the target, whatever they lead to", async () => {
    const repository = await createRepository();
    const outside = await temporaryFolder();
    await writeFile(join(outside, "file"), "precious");
    const below = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const tree = await saveTree(repository, [
      folderOf("folder", below),
      await file(repository, "file", Buffer.from("n"), Buffer.from("ew")),
    ]);
    const target = await temporaryFolder();
    await symlink(outside, join(target, "folder"));
    await symlink(join(outside, "file"), join(target, "file"));
    expect((await restoreTo(repository, tree, target)).errors).toEqual([]);
    expect(await readFile(join(outside, "file"), "utf8")).toBe("precious");
    expect(await readFile(join(target, "folder/file"), "utf8")).toBe("new");
    expect(await readFile(join(target, "file"), "utf8")).toBe("new");
  });

  it("breaks hard links of the target instead of writing through them", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const outside = await temporaryFolder();
    await writeFile(join(outside, "file"), "precious");
    const target = await temporaryFolder();
    await run("ln", [join(outside, "file"), join(target, "file")]);
    expect((await restoreTo(repository, tree, target)).errors).toEqual([]);
    expect(await readFile(join(outside, "file"), "utf8")).toBe("precious");
    expect(await readFile(join(target, "file"), "utf8")).toBe("new");
  });

  it("follows a target that is itself a link, since the user named it", async () => {
    const repository = await createRepository();
    const tree = await saveTree(repository, [await file(repository, "file", Buffer.from("new"))]);
    const folder = await temporaryFolder();
    await mkdir(join(folder, "real"));
    await symlink("real", join(folder, "link"));
    await restoreTo(repository, tree, join(folder, "link"));
    expect(await readlink(join(folder, "link"))).toBe("real");
    expect(await readdir(join(folder, "real"))).toEqual(["file"]);
  });
});
