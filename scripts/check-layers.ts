/** Holds every import of src/ against the table of layers.ts; prints what points upward and fails if anything does. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { FLOOR, LAYERS, WITHOUT_NODE } from "./layers.js";

const root = join(import.meta.dirname, "../../src");
const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^;"']*?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

/** The folder a module belongs to; for a file that lies directly in src/, its own name. */
function roomOf(module: string): string {
  const first = module.split("/")[0] ?? "";
  return first.replace(/\.(ts|js)$/, "");
}

function isAllowed(from: string, to: string): boolean {
  const room = roomOf(from);
  const target = roomOf(to);
  if (room === target || (FLOOR as readonly string[]).includes(target)) return true;
  const allowed = LAYERS[room] ?? [];
  return allowed.includes(target) || allowed.includes(to.replace(/\.(ts|js)$/, ""));
}

const problems: string[] = [];
let files = 0;
let imports = 0;
for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".ts")) continue;
  files++;
  if (!(roomOf(name) in LAYERS)) problems.push(`src/${name}: the folder has no row in scripts/layers.ts`);
  for (const match of readFileSync(join(root, name), "utf8").matchAll(IMPORT)) {
    const specifier = match[1] ?? match[2] ?? "";
    imports++;
    if (specifier.startsWith("node:") && WITHOUT_NODE.some((place) => name.startsWith(`${place}/`))) {
      problems.push(`src/${name}: imports "${specifier}", and must run without Node.js`);
    }
    if (!specifier.startsWith(".")) continue;
    const target = relative(root, normalize(join(root, dirname(name), specifier)));
    if (!isAllowed(name, target)) problems.push(`src/${name}: may not import src/${target}`);
  }
}
for (const problem of problems) console.error(problem);
console.log(`layers: ${files} files, ${imports} imports, ${problems.length} against the table`);
process.exit(problems.length === 0 && files > 0 ? 0 : 1);
