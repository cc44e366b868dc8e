import { lstat, rm } from "node:fs/promises";
import type { ListenOptions } from "node:net";
import { connect } from "node:net";
import { UsageError, YoreError } from "../errors.js";

/** The first descriptor that systemd hands over. */
const FIRST_SOCKET = 3;

/** Bytes; what `sun_path` holds before its zero byte (unix(7)). */
const MAX_SOCKET_PATH = process.platform === "linux" ? 107 : 103;

/** Where a server listens. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string | undefined; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "descriptor"; readonly fd: number };

/**
 * Reads `[host]:port` or `unix:PATH`.
 *
 * @throws {UsageError}
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:") && text.length > 5)
    return { kind: "unix", path: readSocketPath(text.slice(5)) };
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.%]+)\]|(?<host>[^:/[\]]*)):(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.["port"]);
  if (!match || port > 65535)
    throw new UsageError(`Cannot listen on "${text}": expected [host]:port or unix:path`);
  const host = match.groups!["v6"] ?? match.groups!["host"];
  return { kind: "tcp", host: host || undefined, port };
}

/** Node.js would cut it off, and listen there. */
function readSocketPath(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH)
    throw new UsageError(
      `Cannot listen on "${path}": its ${bytes} bytes are more than the ${MAX_SOCKET_PATH} that a socket's path can have`,
    );
  return path;
}

/**
 * The socket that systemd has opened for this process (sd_listen_fds(3)), if any.
 *
 * @throws {UsageError} if there are several
 */
export function systemdSocket(env: Readonly<Record<string, string | undefined>>): ListenAddress | undefined {
  if (Number(env["LISTEN_PID"]) !== process.pid) return undefined;
  const count = Number(env["LISTEN_FDS"]);
  if (!(count > 0)) return undefined;
  if (count > 1) throw new UsageError(`Cannot listen: systemd handed over ${count} sockets, expected one`);
  return { kind: "descriptor", fd: FIRST_SOCKET };
}

export function listenOptions(address: ListenAddress): ListenOptions | { fd: number } {
  switch (address.kind) {
    case "tcp":
      return address.host === undefined ? { port: address.port } : { port: address.port, host: address.host };
    case "unix":
      return { path: address.path };
    case "descriptor":
      return { fd: address.fd };
  }
}

/**
 * Removes the socket that a killed server left behind.
 *
 * @throws {YoreError} when somebody listens there, or when it is no socket
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return;
  if (!stats.isSocket()) throw new YoreError("backend", `Cannot listen on "${path}": a file is in the way`);
  if (await answers(path))
    throw new YoreError("backend", `Cannot listen on "${path}": another process listens there`);
  // The server that answered no more may have taken it away meanwhile.
  await rm(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => done(true));
    // A server that is behind with accepting connections answers EAGAIN, one of another user EACCES.
    socket.on("error", ({ code }: NodeJS.ErrnoException) =>
      done(code !== "ECONNREFUSED" && code !== "ENOENT"),
    );
  });
}
