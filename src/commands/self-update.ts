import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { programVersion } from "./program-version.js";

/** How this program came to be on the machine, and what brings a newer one. */
export interface Installation {
  readonly version: string;
  /** Where the package lies. */
  readonly folder: string;
  readonly kind: "git" | "npm-global" | "npm-project" | "npx" | "unknown";
  /** Shell commands, one after the other; empty when nobody can know. */
  readonly commands: readonly string[];
  /** Whether this user may write there. */
  readonly writable: boolean;
}

/** The folder of the package that this module belongs to. */
const PACKAGE_FOLDER = dirname(dirname(import.meta.dirname));

/**
 * Looks at where the package lies; asks nobody.
 *
 * @param folder of the package
 */
export function findInstallation(folder: string = PACKAGE_FOLDER): Installation {
  const real = realpathSync(folder);
  const { kind, commands } = recognise(real);
  return { version: programVersion(), folder: real, kind, commands, writable: isWritable(real) };
}

function recognise(folder: string): Pick<Installation, "kind" | "commands"> {
  if (existsSync(join(folder, ".git"))) {
    const place = shellQuote(folder);
    return {
      kind: "git",
      commands: [`git -C ${place} pull`, `${shellQuote(join(folder, "scripts/setup"))}`],
    };
  }
  const modules = dirname(folder);
  if (basename(modules) !== "node_modules") return { kind: "unknown", commands: [] };
  if (modules.includes(`${sep}_npx${sep}`)) return { kind: "npx", commands: ["npx yore@latest version"] };
  const owner = dirname(modules);
  if (existsSync(join(owner, "package.json")))
    return { kind: "npm-project", commands: [`npm --prefix ${shellQuote(owner)} install yore@latest`] };
  return { kind: "npm-global", commands: ["npm install --global yore@latest"] };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** As a shell takes it for one word. */
function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
