/**
 * Bundles the command line: dist/cli/main.js and a few chunks for each command, where tsc has put a hundred modules. To
 * find, read and link those cost each start 50 ms of processor time, more than a small command needs for its work. They are
 * CommonJS, which Node.js 20 reads and links without a turn of its event loop for each: 350 ms of `yore snapshots` become
 * 320. The library, dist/mod.js, stays as tsc writes it.
 */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";

/**
 * Packages that every command loads, and those that are ES modules only, which not every Node.js 20 can `require`. The
 * others are for some commands only, or load files that lie beside them.
 */
const BUNDLED = /^(commander|lru-cache|@noble\/.*|smol-toml)$/;

/** @param dist where tsc has put src/ */
export async function bundleCommandLine(checkout: string, dist: string): Promise<void> {
  // All chunks lie here: a module that looks for the package two folders above its own must find it from a chunk, too.
  const folder = join(dist, "cli");
  rmSync(folder, { recursive: true, force: true });
  const bundle = await rolldown({
    input: { main: join(checkout, "src/cli/main.ts") },
    cwd: checkout,
    platform: "node",
    external: (id) => !/^[./]/.test(id) && !BUNDLED.test(id),
    // No module does anything when it is loaded: what a command does not call is not loaded for it. Without this, each
    // command that takes one name from the library's index loads the mount and the archiver.
    treeshake: { moduleSideEffects: false },
    logLevel: "warn",
  });
  await bundle.write({ dir: folder, format: "cjs", sourcemap: true, chunkFileNames: "[name].js" });
  await bundle.close();
  writeFileSync(join(folder, "package.json"), '{ "type": "commonjs" }\n');
  chmodSync(join(folder, "main.js"), 0o755);
}
