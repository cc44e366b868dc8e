/** Programs whose system calls fail as the kernel's own would: what disks refuse that no machine of ours has. */

import { type ChildProcess, spawn } from "node:child_process";
import { type RunOptions, type RunResult, run, yoreCommand } from "./run.js";

/** Numbers of system calls on the machines that we test on. */
const CALLS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: { pwrite64: 18, fsync: 74, renameat2: 316 },
  arm64: { pwrite64: 68, fsync: 82, renameat2: 276 },
};

// A seccomp filter: for each of the calls the errno, and everything else is allowed.
const FILTER = `
import ctypes, os, struct, sys
errno, numbers, command = int(sys.argv[1]), sys.argv[2].split(","), sys.argv[3]
steps = [(0x20, 0, 0, 0)]
for number in numbers:
    steps += [(0x15, 0, 1, int(number)), (0x06, 0, 0, 0x00050000 | errno)]
steps += [(0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp("sh", ["sh", "-c", command])
`;

export type RefusedCall = "pwrite64" | "fsync" | "renameat2";

/** Runs the built command line; each of the calls fails with the errno. */
export function runYoreRefusing(
  errno: number,
  calls: readonly RefusedCall[],
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return runRefusing(errno, calls, `exec ${yoreCommand(args)}`, options);
}

/** The same for one that goes on. The caller ends it. */
export function spawnYoreRefusing(
  errno: number,
  calls: readonly RefusedCall[],
  args: readonly string[],
): ChildProcess {
  return spawn("python3", ["-c", FILTER, `${errno}`, numbersOf(calls), `exec ${yoreCommand(args)}`]);
}

/** The same for a command of the shell. */
export function runRefusing(
  errno: number,
  calls: readonly RefusedCall[],
  command: string,
  options: RunOptions = {},
): Promise<RunResult> {
  return run("python3", ["-c", FILTER, `${errno}`, numbersOf(calls), command], options);
}

function numbersOf(calls: readonly RefusedCall[]): string {
  return calls.map((call) => CALLS[process.arch]?.[call]).join(",");
}

/** Whether calls can be refused here. */
export async function canRefuseCalls(): Promise<boolean> {
  if (process.platform !== "linux" || !(process.arch in CALLS)) return false;
  const tried = await run("python3", ["-c", FILTER, "122", `${CALLS[process.arch]!["fsync"]}`, "true"]).catch(
    () => undefined,
  );
  if (tried?.code === 0) return true;
  console.warn("SKIPPED: system calls cannot be refused here; what disks refuse is not tested");
  return false;
}
