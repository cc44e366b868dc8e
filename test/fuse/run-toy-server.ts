import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { rolldown } from "rolldown";
import { temporaryFolder } from "../support/temporary.js";

const HERE = import.meta.dirname;
const ADDON = process.env["YORE_ADDON"] || join(HERE, "../../native/build/Release/yore.node");

export interface ToyServer {
  readonly process: ChildProcess;
  /** The next line that it prints. */
  readonly line: () => Promise<string>;
  /** Its exit code and the signal that ended it. */
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>;
}

export interface ToyServerProgram {
  /** The command line, up to its own arguments. */
  readonly command: readonly string[];
  readonly folder: string;
  readonly addon: string;
}

/**
 * Puts toy-server.ts and what it imports into one file, which plain Node.js runs and every user may read, with the
 * addon beside it.
 */
export async function buildToyServer(): Promise<ToyServerProgram> {
  const folder = await temporaryFolder();
  const program = join(folder, "toy-server.mjs");
  const addon = join(folder, "yore.node");
  const bundle = await rolldown({
    input: join(HERE, "toy-server.ts"),
    platform: "node",
    external: ["fuse-native"],
    logLevel: "silent",
  });
  await bundle.write({ file: program, format: "esm", codeSplitting: false });
  await bundle.close();
  await copyFile(ADDON, addon);
  for (const path of [folder, addon]) await chmod(path, 0o755);
  await writeFile(join(folder, "ready"), "");
  return { command: [process.execPath, program], folder, addon };
}

/** Starts it, behind `wrapper` (such as `setpriv`) when given. */
export function startToyServer(
  { command, addon }: ToyServerProgram,
  mountpoint: string,
  options: Readonly<Record<string, unknown>> = {},
  wrapper: readonly string[] = [],
): ToyServer {
  const [program, ...args] = [...wrapper, ...command, mountpoint, JSON.stringify(options)];
  const child = spawn(program!, args, {
    env: { ...process.env, YORE_ADDON: addon },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    process: child,
    line: async () => {
      const { value, done } = await lines.next();
      return done ? "" : value;
    },
    ended: once(child, "exit").then(([code, signal]) => [code as number | null, signal as string | null]),
  };
}
