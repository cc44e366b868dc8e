/** What was measured on what: a table of seconds says nothing without it. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

/** "Intel Xeon, 2 cores, 24 GiB, Linux 6.18, ext4, Node.js 20.19" */
export function describeMachine(folder: string): string {
  const cores = cpus();
  const model = (cores[0]?.model ?? process.arch).replace(/\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*$/g, "");
  return [
    model.replace(/\s+/g, " ").trim(),
    `${cores.length} core${cores.length === 1 ? "" : "s"}`,
    `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    `Linux ${release()}`,
    execFileSync("df", ["--output=fstype", folder], { encoding: "utf8" }).trim().split("\n").at(-1)!,
    `Node.js ${process.versions.node}`,
  ].join(", ");
}
