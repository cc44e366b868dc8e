/**
 * Once before and once after a test run: builds the command line when sources are newer than what was built, and
 * fails the run when a test has left something mounted.
 */

import { execFileSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleCommandLine } from "../scripts/bundle.js";

const CHECKOUT = join(import.meta.dirname, "..");
// Another folder beside dist/ keeps a run apart from builds that go on meanwhile.
const DIST = process.env["YORE_TEST_DIST"] ?? "dist";
const STAMP = join(CHECKOUT, DIST, ".built");

export default async function setup(): Promise<() => void> {
  if (newestSource() > builtAt()) await build();
  // A temporary folder of its own for each run: what is mounted below it was mounted by this run and by nobody else.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "yore-run-")));
  process.env["TMPDIR"] = folder;
  return () => {
    const left = fuseMounts().filter((mountpoint) => mountpoint.startsWith(`${folder}/`));
    if (left.length > 0) throw new Error(`Tests left something mounted: ${left.join(", ")}`);
    rmSync(folder, { recursive: true, force: true });
  };
}

async function build(): Promise<void> {
  const started = Date.now();
  try {
    execFileSync(
      process.execPath,
      [join(CHECKOUT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json", "--outDir", DIST],
      {
        cwd: CHECKOUT,
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
  } catch (error) {
    // tsc emits what it can; a type error is the business of the type check, and must not keep other tests from running.
    const output = String((error as { stdout?: Buffer }).stdout ?? "");
    console.warn(`The build has type errors:\n${output.split("\n").slice(0, 20).join("\n")}`);
  }
  await bundleCommandLine(CHECKOUT, join(CHECKOUT, DIST));
  writeFileSync(STAMP, `${started}\n`);
}

/** When the newest source file was changed, in milliseconds. */
function newestSource(): number {
  let newest = statSync(join(CHECKOUT, "tsconfig.json")).mtimeMs;
  for (const entry of readdirSync(join(CHECKOUT, "src"), { recursive: true, withFileTypes: true })) {
    newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return newest;
}

function builtAt(): number {
  try {
    return Number(readFileSync(STAMP, "utf8"));
  } catch {
    return 0;
  }
}

/** Mountpoints of all FUSE mounts that this process can see. */
function fuseMounts(): string[] {
  if (process.platform !== "linux") return [];
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - fuse(\.|blk |ctl | )/.test(line) && !/ - fusectl /.test(line))
    .map((line) => line.split(" ")[4] ?? "");
}
