/** The programs that are measured: yore, another build of yore, restic. All take the same arguments. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { CommandError, run } from "./measure.js";

export interface Program {
  readonly name: string;
  readonly argv: readonly string[];
}

const checkout = resolve(import.meta.dirname, "../../..");

/** This checkout's build, or the one whose `main.js` is named. */
export function yore(main = join(checkout, "dist/cli/main.js")): Program {
  if (!existsSync(main)) throw new Error(`there is no ${main}: npm run build`);
  return { name: "yore", argv: [process.execPath, main] };
}

/** The restic named, else the one that scripts/peers brought, else the one on the PATH. */
export function restic(named = process.env["YORE_TEST_RESTIC"]): Program {
  return { name: "restic", argv: [named ?? peer("restic")] };
}

/** A program that scripts/peers brings, else the one on the PATH. */
export function peer(name: string): string {
  const brought = join(checkout, ".yore/peers/bin", name);
  return existsSync(brought) ? brought : name;
}

/** "restic 0.19.1": the first words of what the program says about its version. */
export async function versionOf(program: Program): Promise<string> {
  const said = await run({ argv: [...program.argv, "version"] });
  return /^\S+ \S+/.exec(said)?.[0] ?? program.name;
}

/** Whether a command failed because the program says that it does not have it yet: a gap, not a defect. */
export function isNotSupported(error: unknown): boolean {
  return error instanceof CommandError && /\bnot supported yet\b/.test(error.said);
}
