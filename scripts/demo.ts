/**
 * What `npm start` does once everything is built: repository, backup, mount, listing; then either stay until Ctrl-C or,
 * without a terminal, compare every file through the mount with the original and say what differed.
 *
 * It runs the built command line as any user would, and knows nothing else of yore.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { lstat, mkdir, open, readdir, readlink } from "node:fs/promises";
import { join, resolve } from "node:path";

const checkout = resolve(import.meta.dirname, "../..");
const yore = join(checkout, "dist/cli/main.js");
const state = join(checkout, ".yore");
const repository = join(state, "repository");
const passwordFile = join(state, "password");
const mountpoint = join(state, "mount");

/** What a build leaves in the checkout: not worth a backup, and the repository itself lies there. */
const GENERATED = [".git", ".yore", ".build", "node_modules", "dist", "native/build"];

const given = process.argv.slice(2).filter((argument) => argument !== "--");
if (given.length > 1) fail(`expected one folder, got ${given.length}`);
const cwd = process.env["YORE_START_CWD"] ?? process.cwd();
const source = given[0] === undefined ? checkout : resolve(cwd, given[0]);
const left = new Set(GENERATED.map((name) => join(checkout, name)));
const environment = { ...process.env, YORE_REPOSITORY: repository, YORE_PASSWORD_FILE: passwordFile };

await main();

async function main(): Promise<void> {
  mkdirSync(state, { recursive: true });
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  }
  if (!existsSync(join(repository, "config"))) run("init");
  const excludes = [...left].map((path) => `--exclude=${path}`);
  run("backup", source, "--tag", "start", ...excludes);
  await mkdir(mountpoint, { recursive: true }).catch(() => undefined); // a dead mount of an earlier run: mount cleans it

  const shown = join(mountpoint, "snapshots/latest", source);
  if (process.stdin.isTTY && process.stdout.isTTY) return stay(shown);

  run("mount", "--daemon", mountpoint);
  let differences: string[];
  let compared = { files: 0, bytes: 0 };
  try {
    show(shown);
    ({ differences, ...compared } = await compare(source, shown));
  } finally {
    run("umount", mountpoint);
  }
  for (const difference of differences) console.error(`differs: ${difference}`);
  const megabytes = (compared.bytes / 1e6).toFixed(1);
  console.log(
    `compared ${compared.files} files (${megabytes} MB) through the mount: ${differences.length} differences`,
  );
  process.exitCode = differences.length === 0 ? 0 : 1;
}

/** Mounts in the foreground, lists the newest snapshot once it is there, and ends when the mount ends. */
function stay(shown: string): void {
  const mount = spawn(process.execPath, [yore, "mount", mountpoint], {
    env: environment,
    stdio: ["inherit", "pipe", "inherit"],
  });
  let printed = "";
  mount.stdout.on("data", (text: Buffer) => {
    process.stdout.write(text);
    const before = printed.includes("Now serving");
    printed += text;
    if (!before && printed.includes("Now serving")) show(shown);
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => mount.kill(signal));
  mount.on("exit", (code) => process.exit(code ?? 1));
}

function show(shown: string): void {
  console.log(`\nThe newest snapshot, below ${shown}:\n`);
  spawnSync("ls", ["-l", shown], { stdio: ["ignore", "inherit", "inherit"] });
  console.log("");
}

function run(...args: string[]): void {
  console.log(`$ yore ${args.filter((argument) => !argument.startsWith("--exclude=")).join(" ")}`);
  const result = spawnSync(process.execPath, [yore, ...args], {
    env: environment,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (result.status !== 0) fail(`yore ${args[0]} ended with ${result.status ?? result.signal}`);
}

interface Comparison {
  files: number;
  bytes: number;
  differences: string[];
}

/** Compares kind, mode, owner, times, links, names and every byte, in both directions. */
async function compare(original: string, copy: string): Promise<Comparison> {
  const result: Comparison = { files: 0, bytes: 0, differences: [] };
  await compareNode(Buffer.from(original), Buffer.from(copy), result);
  return result;
}

async function compareNode(original: Buffer, copy: Buffer, result: Comparison): Promise<void> {
  const differs = (what: string) => result.differences.push(`${original.toString()}: ${what}`);
  const [a, b] = await Promise.all([
    lstat(original, { bigint: true }),
    lstat(copy, { bigint: true }).catch(() => undefined),
  ]);
  if (b === undefined) {
    if (!a.isSocket()) differs("is not in the mount");
    return;
  }
  for (const field of ["mode", "uid", "gid", "mtimeNs", "rdev"] as const) {
    if (a[field] !== b[field]) differs(`${field} is ${b[field]} in the mount, ${a[field]} in the original`);
  }
  if (a.isDirectory() && b.isDirectory()) return compareDirectory(original, copy, result);
  if (a.isSymbolicLink()) {
    const [x, y] = await Promise.all([readlink(original, "buffer"), readlink(copy, "buffer")]);
    if (!x.equals(y)) differs("points elsewhere in the mount");
  }
  if (!a.isFile()) return;
  result.files++;
  if (a.size !== b.size) return void differs(`has ${b.size} bytes in the mount, ${a.size} in the original`);
  result.bytes += Number(a.size);
  const at = await firstDifference(original, copy);
  if (at !== undefined) differs(`the content differs from byte ${at} on`);
}

async function compareDirectory(original: Buffer, copy: Buffer, result: Comparison): Promise<void> {
  const [names, mirrored] = await Promise.all([readdir(original, "buffer"), readdir(copy, "buffer")]);
  const wanted = new Set<string>();
  for (const name of names) {
    const path = Buffer.concat([original, Buffer.from("/"), name]);
    if (left.has(path.toString())) continue;
    wanted.add(name.toString("latin1"));
    await compareNode(path, Buffer.concat([copy, Buffer.from("/"), name]), result);
  }
  for (const name of mirrored) {
    if (!wanted.has(name.toString("latin1")))
      result.differences.push(`${copy.toString()}/${name}: is only in the mount`);
  }
}

async function firstDifference(original: Buffer, copy: Buffer): Promise<number | undefined> {
  const files = await Promise.all([open(original), open(copy)]);
  const buffers = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)] as const;
  try {
    for (let at = 0; ; ) {
      const [a, b] = await Promise.all(files.map((file, i) => readFully(file, buffers[i as 0 | 1], at)));
      const [x, y] = [buffers[0].subarray(0, a), buffers[1].subarray(0, b)];
      if (!x.equals(y)) return at + x.findIndex((byte, i) => byte !== y[i]);
      if (a === undefined || a === 0) return undefined;
      at += a;
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function readFully(
  file: Awaited<ReturnType<typeof open>>,
  buffer: Buffer,
  position: number,
): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

function fail(reason: string): never {
  console.error(`start: ${reason}`);
  process.exit(1);
}
