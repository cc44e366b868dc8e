/** How long after the start Node.js may still answer a signal that came before there was a listener. */
const PATIENCE_MS = 200;

/**
 * Sees to it that SIGUSR1 opens no port for debuggers, through which any program of this machine that finds it could run its
 * own code in this one. Where the signal comes before there is a listener, the port is closed again.
 */
export function refuseDebuggers(): void {
  process.on("SIGUSR1", () => {});
  const options = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)];
  if (options.some((option) => option.startsWith("--inspect"))) return;
  const timer = setTimeout(async () => {
    const { close, url } = await import("node:inspector");
    if (url() !== undefined) close();
  }, PATIENCE_MS);
  timer.unref();
}
