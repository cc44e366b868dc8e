/** Runs a command as a whole process and takes the operating system's own account of it. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one run took. */
export interface Sample {
  readonly seconds: number;
  /** User and system time of the process and the children it waited for; of a mount's process as well. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the program's largest process. */
  readonly peakBytes: number;
}

export interface Command {
  readonly argv: readonly string[];
  /** Added to the environment, from which all that steers them is taken away. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Longer than any command takes: what hangs is killed, and fails. */
const LIMIT = ["timeout", "--foreground", "--signal=KILL", "900"];

/** A command that did not exit with 0. */
export class CommandError extends Error {
  /** What it wrote to its standard error. */
  readonly said: string;

  constructor(argv: readonly string[], status: number | string | null, said: string) {
    super(`${argv.slice(0, 8).join(" ")} ended with ${status}: ${said.trim()}`);
    this.said = said;
  }
}

/**
 * Runs a command to its end. Its output goes to a file, so that reading it costs the measured time nothing.
 * @throws {CommandError} if it does not exit with 0
 */
export async function measure(command: Command): Promise<{ sample: Sample; stdout: string }> {
  const folder = mkdtempSync(join(tmpdir(), "yore-bench-"));
  const account = join(folder, "account");
  const output = join(folder, "stdout");
  const argv = ["/usr/bin/time", "--quiet", "-o", account, "-f", "%U %S %M", ...LIMIT, ...command.argv];
  try {
    const stdout = openSync(output, "w");
    const started = process.hrtime.bigint();
    await start(command, argv, stdout).finally(() => closeSync(stdout));
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    const [user, system, peakKilobytes] = readFileSync(account, "utf8").trim().split(" ").map(Number);
    return {
      sample: { seconds, cpuSeconds: user! + system!, peakBytes: peakKilobytes! * 1024 },
      stdout: readFileSync(output, "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command without measuring. @returns its output @throws {CommandError} if it does not exit with 0 */
export async function run(command: Command): Promise<string> {
  return (await measure(command)).stdout;
}

function start(command: Command, wrapped: readonly string[], stdout: number): Promise<void> {
  const [program, ...args] = wrapped;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, {
      env: cleanEnvironment(command.env),
      stdio: ["ignore", stdout, "pipe"],
    });
    let said = "";
    child.stderr!.on("data", (text: Buffer) => {
      if (said.length < 4000) said += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new CommandError(command.argv, code ?? signal, said));
    });
  });
}

/**
 * Our environment without anything that steers restic, yore or what runs them, and with what is given. NODE_EXTRA_CA_CERTS
 * alone costs each start of Node.js 45 ms where it names all certificates of a system, which no task asks for.
 */
export function cleanEnvironment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(RESTIC|YORE|NODE)_|^GO[A-Z]+$/.test(name));
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...added };
}

/** Makes the next reads come from the disk. @returns whether this user may */
export function dropPageCache(): boolean {
  try {
    writeFileSync("/proc/sys/vm/drop_caches", "3");
    return true;
  } catch {
    return false;
  }
}
