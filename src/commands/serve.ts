import { stat } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { makeFolders } from "../bytes/make-folders.js";
import { messageOf, UsageError, YoreError } from "../errors.js";
import type { Authentication } from "../server/authenticator.js";
import { parseListenAddress, systemdSocket } from "../server/listen-address.js";
import { LogFile } from "../server/log-file.js";
import { PasswordFile } from "../server/password-file.js";
import { parsePolicyDuration } from "../server/policy-file.js";
import { type RunningServer, type ServeOptions, startServer } from "../server/server.js";

export interface ServeCommandOptions
  extends Omit<ServeOptions, "accessLog" | "authentication" | "listen" | "keepDeletedMs"> {
  /** `[host]:port` or `unix:PATH`; a socket that systemd hands over wins. */
  readonly listen: string;
  /** How long what clients delete is kept, such as "14d"; not at all when left out. */
  readonly keepDeleted?: string | undefined;
  readonly authentication:
    | { readonly kind: "none" }
    | { readonly kind: "passwords"; readonly path: string }
    | { readonly kind: "proxy"; readonly header: string };
  /** Where systemd says so. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a line for each request goes; nowhere when left out. */
  readonly accessLog?: { readonly path: string } | ((line: string) => void) | undefined;
}

export interface ServeWatch {
  /** Fires when the server shall end. */
  readonly signal: AbortSignal;
  readonly onListening: (server: RunningServer) => void;
}

/**
 * Serves repositories until the signal fires and the requests under way are answered.
 *
 * @throws {UsageError} for an address or a time that is none
 * @throws {YoreError} when it cannot begin
 */
export async function runServe(options: ServeCommandOptions, watch: ServeWatch): Promise<void> {
  const listen = systemdSocket(options.env) ?? parseListenAddress(options.listen);
  const keepDeletedMs = readKeepDeleted(options.keepDeleted);
  // First of all: a slip in its name must not leave an empty data folder behind.
  const authentication = await readAuthentication(options);
  await requireFolder(options.dataFolder);
  const { accessLog } = options;
  const logFile =
    typeof accessLog === "object" ? await LogFile.open(accessLog.path, options.onLog) : undefined;
  const write =
    typeof accessLog === "function" ? accessLog : logFile && ((line: string) => logFile.write(line));
  const server = await startServer({
    ...options,
    listen,
    authentication,
    keepDeletedMs,
    accessLog: write,
    collectGarbage: youngHeapCollector(),
  });
  watch.onListening({
    ...server,
    reload: async () => {
      logFile?.reopen();
      await server.reload();
    },
  });
  await new Promise<void>((resolve) => {
    if (watch.signal.aborted) resolve();
    else watch.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close();
  logFile?.close();
}

/**
 * What Node.js makes for each piece of an upload dies as soon as it is copied, but only a collection of the young heap
 * gives it back, and that comes by the number of objects, not by their bytes: 200 uploads at once took 100 MiB. So the
 * young heap stays at 1 MiB instead of growing to 16, and is collected by hand: 40 MiB, for a few percent of a core.
 */
function youngHeapCollector(): () => void {
  for (const flag of ["--semi-space-growth-factor=1", "--max-semi-space-size=1", "--expose-gc"])
    setFlagsFromString(flag);
  const collect = runInNewContext("gc") as (options: { type: "minor" }) => void;
  return () => collect({ type: "minor" });
}

async function readAuthentication(options: ServeCommandOptions): Promise<Authentication> {
  const { authentication } = options;
  if (authentication.kind !== "passwords") return authentication;
  return { kind: "passwords", file: await PasswordFile.load(authentication.path, options.onLog) };
}

function readKeepDeleted(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parsePolicyDuration(text);
  if (ms === undefined)
    throw new UsageError(`Cannot read time "${text}" of --keep-deleted: wanted something like 14d or 36h`);
  return ms;
}

async function requireFolder(path: string): Promise<void> {
  try {
    await makeFolders(path, 0o700);
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    throw new YoreError("backend", `Cannot serve "${path}": ${messageOf(error)}`, { cause: error });
  }
  throw new YoreError("backend", `Cannot serve "${path}": it is no directory`);
}
