/** The programs that are measured: yore, another build of yore, restic. All take the same arguments. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export interface Program {
  readonly name: string;
  readonly argv: readonly string[];
}

const checkout = resolve(import.meta.dirname, "../../..");

/** Repository location and password reach both programs by the variables that both know. */
export function environmentOf(repository: string): Record<string, string> {
  return { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: "bench", RESTIC_CACHE_DIR: `${repository}.cache` };
}

/** This checkout's build, or the one whose `main.js` is named. */
export function yore(main = join(checkout, "dist/cli/main.js")): Program {
  if (!existsSync(main)) throw new Error(`there is no ${main}: npm run build`);
  return { name: "yore", argv: [process.execPath, main] };
}

/** The restic named, else the one that scripts/peers brought, else the one on the PATH. */
export function restic(named = process.env["YORE_TEST_RESTIC"]): Program {
  const brought = join(checkout, ".yore/peers/bin/restic");
  return { name: "restic", argv: [named ?? (existsSync(brought) ? brought : "restic")] };
}
