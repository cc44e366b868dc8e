import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { systemCodeOf } from "../errors.js";
import { type Addon, loadAddon } from "../native/addon.js";
import type { SocketHandle } from "../native/body-socket-functions.js";

/** Smaller bodies are through before a connection has changed hands. */
export const WORTH_IT_BYTES = 256 * 1024;

/** Sent or received in one hop; then it is the turn of another. */
export const HOP_BYTES = 8 * 1024 * 1024;

/** A connection whose bytes the addon can send and receive: they need not pass through JavaScript. */
export interface RawSocket {
  readonly addon: Addon;
  readonly handle: SocketHandle;
}

/**
 * Makes a descriptor beside that of Node.js, for one who knows that Node.js leaves the connection alone meanwhile.
 *
 * @returns `undefined` where that cannot be: with TLS, without the addon, or while Node.js still has something to send,
 * or when there are no more descriptors
 */
export function openRawSocket(socket: Socket): RawSocket | undefined {
  const addon = loadAddon();
  if (!addon || socket instanceof TLSSocket || socket.writableLength > 0) return undefined;
  const fd = descriptorOf(socket);
  const handle = fd === undefined ? undefined : takeSocket(addon, fd);
  return handle && { addon, handle };
}

/** @returns a descriptor beside this one; `undefined` when there are no more */
export function takeSocket(addon: Addon, fd: number): SocketHandle | undefined {
  try {
    return addon.socketTake(fd);
  } catch (error) {
    if (NO_MORE.has(systemCodeOf(error))) return undefined;
    throw error;
  }
}

const NO_MORE: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE"]);

/** Node.js tells it nowhere else; `undefined` where it has none (Windows) or has lost it. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
