import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TreeNode } from "../../src/format/node.js";
import { loadAddon } from "../../src/native/addon.js";
import { createRepository } from "../repository/support.js";
import { missingProgram } from "../support/run.js";
import { temporaryFolder } from "../support/temporary.js";
import { file, restoreTo, saveTree } from "./support.js";

const addon = loadAddon();
/** Seven such attributes find room in the block that ext4 has for those of a file. */
const VALUE_BYTES = 500;
const VALUE = Buffer.alloc(VALUE_BYTES, "v");

async function attributesOf(path: string): Promise<string[]> {
  const names = Buffer.from(await addon!.listXattrNames(Buffer.from(path)));
  return names.toString().split("\0").slice(0, -1).sort();
}

function withAttributes(node: TreeNode, names: readonly string[], value: Uint8Array = VALUE): TreeNode {
  return { ...node, extendedAttributes: names.map((name) => ({ name, value })) };
}

const isPossible = addon && process.getuid?.() === 0 && !missingProgram("mkfs.ext4");

describe.skipIf(!isPossible)("restore where attributes find no room", () => {
  let disk: string;

  beforeEach(async () => {
    disk = await temporaryFolder();
    const image = join(await temporaryFolder(), "image");
    execFileSync("truncate", ["-s", "8M", image]);
    execFileSync("mkfs.ext4", ["-q", "-b", "4096", "-O", "^ea_inode,^has_journal", image]);
    execFileSync("mount", ["-o", "loop", image, disk]);
  });

  afterEach(() => {
    execFileSync("umount", [disk]);
  });

  it("sets as many as fit, the small ones behind those that do not, and says the rest in one sentence", async () => {
    const repository = await createRepository();
    const many = Array.from({ length: 40 }, (_, i) => `user.large${i + 10}`);
    const node = withAttributes(await file(repository, "a", Buffer.from("a")), many);
    const small = { name: "user.small", value: Buffer.from("s") };
    const tree = await saveTree(repository, [
      { ...node, extendedAttributes: [...node.extendedAttributes, small] },
    ]);
    const { summary, errors, warnings } = await restoreTo(repository, tree, disk);
    expect([summary.errors, errors]).toEqual([0, []]);
    const found = await attributesOf(join(disk, "a"));
    expect(found).toContain("user.small");
    expect(found.length).toBeGreaterThan(5);
    const lost = many.filter((name) => !found.includes(name));
    expect(lost.length).toBeGreaterThan(10);
    const first = lost.slice(0, 10).join(", ");
    expect(warnings.map(({ error }) => error.message)).toEqual([
      `Cannot set ${lost.length} extended attributes of "/a": ${first} and ${lost.length - 10} more: no space left on device`,
    ]);
  });

  it("makes room by removing those that are to go, and replaces those that are there", async () => {
    const repository = await createRepository();
    const names = (first: number) => Array.from({ length: 6 }, (_, i) => `user.number${first + i}`);
    const plain = await file(repository, "a", Buffer.from("a"));
    const before = await saveTree(repository, [withAttributes(plain, names(10))]);
    expect((await restoreTo(repository, before, disk)).warnings).toEqual([]);
    const after = withAttributes(plain, names(20), Buffer.alloc(VALUE_BYTES, "w"));
    const { warnings } = await restoreTo(repository, await saveTree(repository, [after]), disk);
    expect(warnings).toEqual([]);
    expect(await attributesOf(join(disk, "a"))).toEqual(names(20));
    const values = execFileSync("getfattr", ["-d", join(disk, "a")], { encoding: "utf8" });
    expect(values).not.toContain("v".repeat(VALUE_BYTES));
  });

  it("replaces what is there although others find no room", async () => {
    const repository = await createRepository();
    const plain = await file(repository, "a", Buffer.from("a"));
    const present = await saveTree(repository, [withAttributes(plain, ["user.present"])]);
    await restoreTo(repository, present, disk);
    const many = Array.from({ length: 40 }, (_, i) => `user.new${i + 10}`);
    const after = withAttributes(plain, [...many, "user.present"], Buffer.alloc(VALUE_BYTES, "w"));
    const { warnings } = await restoreTo(repository, await saveTree(repository, [after]), disk);
    expect(warnings).toHaveLength(1);
    const values = execFileSync("getfattr", ["-n", "user.present", join(disk, "a")], { encoding: "utf8" });
    expect(values).toContain("w".repeat(VALUE_BYTES));
  });

  it("sets what fits once a smaller value makes room", async () => {
    const repository = await createRepository();
    const plain = await file(repository, "a", Buffer.from("a"));
    const large = withAttributes(plain, ["user.shrinks"], Buffer.alloc(2600, "v"));
    await restoreTo(repository, await saveTree(repository, [large]), disk);
    const after = {
      ...plain,
      extendedAttributes: [
        { name: "user.before", value: Buffer.alloc(1800, "w") },
        { name: "user.shrinks", value: Buffer.from("w") },
        { name: "user.behind", value: Buffer.alloc(1900, "w") },
      ],
    };
    const { warnings } = await restoreTo(repository, await saveTree(repository, [after]), disk);
    expect(await attributesOf(join(disk, "a"))).toEqual(["user.behind", "user.shrinks"]);
    expect(warnings).toHaveLength(1);
  });
});
