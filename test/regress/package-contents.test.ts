import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const CHECKOUT = join(import.meta.dirname, "../..");

describe("the package", () => {
  it("has the program, what builds its addon, and nothing that a build has left behind", async () => {
    const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: CHECKOUT });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string; mode: number }[] }];
    const paths = files.map(({ path }) => path);
    const others = paths.filter((path) => !/^(dist|docs|native\/src)\//.test(path));
    const addon = "native/build/Release/yore.node";
    const isBuilt = await stat(join(CHECKOUT, addon)).then(
      () => true,
      () => false,
    );
    expect(others.sort()).toEqual(
      [
        "LICENSE",
        "README.md",
        "native/binding.gyp",
        ...(isBuilt ? [addon] : []),
        "package.json",
        "scripts/build-native",
      ].sort(),
    );
    expect(paths).toEqual(expect.arrayContaining(["dist/cli/main.js", "dist/mod.js", "dist/mod.d.ts"]));
    const gyp = await readFile(join(CHECKOUT, "native/binding.gyp"), "utf8");
    for (const [, source] of gyp.matchAll(/'(src\/.*\.cc)'/g)) expect(paths).toContain(`native/${source}`);
    expect(paths.filter((path) => /^dist\/(?!.*\.(js|d\.ts)$)/.test(path))).toEqual([
      "dist/cli/package.json",
    ]);
    expect(files.find(({ path }) => path === "scripts/build-native")!.mode & 0o111).toBe(0o111);
  });

  it("is built before it is packed", async () => {
    const { scripts } = JSON.parse(await readFile(join(CHECKOUT, "package.json"), "utf8")) as {
      readonly scripts: Readonly<Record<string, string>>;
    };
    expect(scripts["prepack"]).toBe("scripts/build");
  });
});
