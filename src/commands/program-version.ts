import { readFileSync } from "node:fs";

let known: string | undefined;

/** The version of yore, as package.json says it: "0.1.0". */
export function programVersion(): string {
  if (known === undefined) {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const { version } = JSON.parse(text) as { version?: unknown };
    known = typeof version === "string" ? version : "unknown";
  }
  return known;
}
