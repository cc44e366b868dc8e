import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The restic whose commands, flags, output and exit codes yore has. */
export const RESTIC_VERSION = "0.19.1";

let known: string | undefined;

/** The version of yore, as package.json says it: "0.1.0". */
export function programVersion(): string {
  if (known === undefined) {
    const text = readFileSync(join(dirname(dirname(import.meta.dirname)), "package.json"), "utf8");
    const { version } = JSON.parse(text) as { version?: unknown };
    known = typeof version === "string" ? version : "unknown";
  }
  return known;
}
