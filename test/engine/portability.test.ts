import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { PortableEngine } from "../../src/engine/portable/portable-engine.js";
import { KEY } from "../suites/engine-support.js";

const SOURCE = join(import.meta.dirname, "../../src");

/** All files of ours that a file brings in, itself included. */
function closure(file: string, seen = new Map<string, string>()): Map<string, string> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, "utf8");
  seen.set(file, text);
  for (const [, specifier] of text.matchAll(/^import (?!type )[^;]*?from "(\.[^"]+)\.js";/gms))
    closure(join(dirname(file), `${specifier}.ts`), seen);
  return seen;
}

describe("the portable engine", () => {
  it("imports nothing of Node.js", () => {
    const files = closure(join(SOURCE, "engine/portable/portable-engine.ts"));
    expect([...files.keys()].map((file) => file.slice(SOURCE.length + 1))).toContain("engine/checks.ts");
    for (const [file, text] of files)
      expect(`${file}: ${/from "node:[^"]*"|require\(/.exec(text)?.[0]}`).toMatch(/: undefined$/);
  });

  it("uses no global that a browser lacks", () => {
    for (const folder of ["engine/portable"]) {
      for (const name of readdirSync(join(SOURCE, folder))) {
        const text = readFileSync(join(SOURCE, folder, name), "utf8").replace(/\/\*.*?\*\/|\/\/.*$/gms, "");
        expect(`${name}: ${/\b(Buffer|process|setImmediate|__dirname|global)\b/.exec(text)?.[0]}`).toBe(
          `${name}: undefined`,
        );
      }
    }
  });

  it("works without Buffer and process", () => {
    // Compiled WebAssembly is loaded through Node.js by the package; everything after that runs without.
    const code = `
      const { PortableEngine } = await import(${JSON.stringify(join(SOURCE, "../dist/engine/portable/portable-engine.js"))});
      const engine = await PortableEngine.create();
      const print = console.log;
      for (const name of ["Buffer", "process", "setImmediate"]) delete globalThis[name];
      const key = { encrypt: engine.randomBytes(32), macK: engine.randomBytes(16), macR: engine.randomBytes(16) };
      const plaintext = new Uint8Array(700000).fill(7);
      const inputs = [{ plaintext, compressionLevel: 3 }, { plaintext, compressionLevel: undefined }];
      const sealed = await engine.seal(key, inputs, { verify: true });
      const id = engine.hash(plaintext);
      const unsealed = await engine.unseal(key, sealed.map((one) => ({ ...one, id })));
      const cuts = await engine.createChunker(0x3caf26730a7f8dn).cut(plaintext, { final: true });
      await engine.scrypt(plaintext, plaintext, { N: 16, r: 1, p: 1 }, 64);
      print(unsealed.map((one) => one.plaintext?.length).join(), cuts.lengths.join());
    `;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    expect(output).toMatch(/^700000,700000 \d+/);
  });

  it("lets the event loop go on while it works", async () => {
    const engine = await PortableEngine.create();
    const plaintext = new Uint8Array(6_000_000);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await engine.seal(KEY, [{ plaintext, compressionLevel: undefined }]);
    await engine.hashAll([plaintext]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(4);
  });
});
