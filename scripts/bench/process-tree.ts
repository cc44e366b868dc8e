/** What a process that still runs has used so far, with its children: for servers, which are asked before they end. */
import { readdirSync, readFileSync } from "node:fs";

/** Ticks a second of the times in /proc/PID/stat: fixed by the kernel's interface. */
const CLOCK_TICKS = 100;

export interface Account {
  /** User and system time, with that of the children that live and of those that were waited for. */
  readonly cpuSeconds: number;
  /** Peak resident memory of the largest process. */
  readonly peakBytes: number;
}

/** @throws {Error} (ENOENT) if the process is gone */
export function accountOf(pid: number): Account {
  // Children first: what one of them that ends meanwhile has used is then found with its parent.
  const children = childrenOf(pid).flatMap(accountOfChild);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // From the third field on: the second is the program's name, which may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  const own = (user! + system! + childrenUser! + childrenSystem!) / CLOCK_TICKS;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const ownPeak = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  return {
    cpuSeconds: children.reduce((sum, child) => sum + child.cpuSeconds, own),
    peakBytes: Math.max(ownPeak, ...children.map((child) => child.peakBytes)),
  };
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

function accountOfChild(pid: number): Account[] {
  try {
    return [accountOf(pid)];
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** A file of /proc; nothing of a thread that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

/** ESRCH comes when a process ends between opening and reading. */
function isGone(error: unknown): boolean {
  return ["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "");
}
