import { messageOf, UsageError, YoreError } from "../errors.js";
import { addonBuilder, addonProblem, loadAddon } from "../native/addon.js";
import type { Engine } from "./engine.js";
import { NativeEngine } from "./native/native-engine.js";
import { selfTest } from "./self-test.js";

let problem: string | undefined;

/**
 * Why the last `loadEngine` gave the portable engine although nobody asked for it, and what that costs; `undefined` if it
 * did not.
 */
export function engineProblem(): string | undefined {
  return problem;
}

/**
 * Chooses the engine. `YORE_ENGINE` in the environment may demand `native` or `portable`; without it the native one is
 * taken if it loads and passes its self-test, and the portable one otherwise (20 to 40 times slower, the same bytes).
 *
 * @throws {UsageError} for any other value of `YORE_ENGINE`
 * @throws {YoreError} with code `native` if the native engine was demanded and does not work
 */
export async function loadEngine(
  options: { readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Promise<Engine> {
  const wanted = (options.env ?? process.env)["YORE_ENGINE"] || "auto";
  if (wanted !== "auto" && wanted !== "native" && wanted !== "portable")
    throw new UsageError(
      `Cannot choose an engine: "YORE_ENGINE" is neither "native" nor "portable": "${wanted}"`,
    );

  problem = undefined;
  if (wanted === "portable") return await loadPortable();
  try {
    return await loadNative();
  } catch (error) {
    if (wanted === "native") throw error;
    problem = `${messageOf(error)}; ${consequence()}`;
    return await loadPortable();
  }
}

function consequence(): string {
  if (addonProblem() === undefined) return "the portable one is slower";
  const lost = "leaves out extended attributes and ACLs, and mounts through fuse-native only";
  return `without it yore is slower, ${lost}. Build it with "${addonBuilder()}"`;
}

async function loadNative(): Promise<Engine> {
  const addon = loadAddon();
  if (addon === undefined)
    throw new YoreError("native", addonProblem() ?? "Cannot load the native addon", {
      hint: `Build it with "${addonBuilder()}", or set YORE_ENGINE=portable`,
    });
  const engine = new NativeEngine(addon);
  try {
    await selfTest(engine);
  } catch (error) {
    throw new YoreError("native", `Cannot use the native engine: ${messageOf(error)}`, { cause: error });
  }
  return engine;
}

/** Imported only when needed: the WebAssembly it brings takes time to compile. */
async function loadPortable(): Promise<Engine> {
  const { PortableEngine } = await import("./portable/portable-engine.js");
  return await PortableEngine.create();
}
