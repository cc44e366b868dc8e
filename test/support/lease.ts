import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";

const PROGRAM = `
import fcntl, os, signal, sys
file = os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while True: signal.pause()
`;

/** Takes a file for itself, as a file server does for a client that writes it, until the kernel asks for it back. */
export async function holdLease(path: string): Promise<void> {
  const holder = spawn("python3", ["-c", PROGRAM, path], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
}
