import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

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
