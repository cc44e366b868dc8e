/** Runs a command as a whole process and takes the operating system's own account of it. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one run took. */
export interface Sample {
  readonly seconds: number;
  /** User and system time of the process and the children it waited for. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the largest process. */
  readonly peakBytes: number;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Bytes for its standard input come from here; nothing when left out. */
  readonly stdin?: string;
}

const CLOCK_TICKS = 100;

/** Runs a command to its end, its output thrown away. @throws {Error} if it does not exit with 0 */
export async function measure(command: Command): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), "yore-bench-"));
  const account = join(folder, "account");
  const started = process.hrtime.bigint();
  try {
    await run({ ...command, argv: ["/usr/bin/time", "-o", account, "-f", "%U %S %M", ...command.argv] });
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    const [user, system, peakKilobytes] = readFileSync(account, "utf8").trim().split(" ").map(Number);
    return { seconds, cpuSeconds: (user ?? 0) + (system ?? 0), peakBytes: (peakKilobytes ?? 0) * 1024 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end without measuring. @throws {Error} with what it said if it does not exit with 0 */
export function run(command: Command): Promise<void> {
  const [program, ...args] = command.argv;
  if (program === undefined) throw new RangeError(`"argv" expected a program, got nothing`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...command.env },
      cwd: command.cwd,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => {
      if (said.length < 4000) said += text;
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`${command.argv.slice(0, 6).join(" ")} ended with ${code ?? signal}: ${said.trim()}`),
        );
    });
  });
}

/** What a process that still runs has used so far: for servers, which are asked before they end. */
export function accountOf(pid: number): { cpuSeconds: number; peakBytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS,
    peakBytes: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
  };
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
