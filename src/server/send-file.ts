import type { FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { awaitedLater } from "../async/awaited-later.js";
import type { TokenBucket } from "../async/token-bucket.js";
import { HOP_BYTES, openRawSocket, type RawSocket, WORTH_IT_BYTES } from "./raw-socket.js";
import { BLOCK_BYTES, type TransferMemory } from "./transfer-memory.js";

export interface SendOptions {
  readonly memory: TransferMemory;
  readonly rates: readonly TokenBucket[];
  /** Told how many bytes have gone to the kernel, as they go. */
  readonly onSent: (bytes: number) => void;
}

/**
 * Sends a part of a file. The next piece is read while one is on its way, in two buffers that are
 * used again and again, the smaller the more transfers there are.
 *
 * @param from first byte
 * @param bytes how many; all of them must be there, but fewer are sent when the client has gone
 * @throws what reading throws; Error when the file is shorter than it was
 */
export async function sendFile(
  response: ServerResponse,
  file: FileHandle,
  from: number,
  bytes: number,
  options: SendOptions,
): Promise<void> {
  const { memory, rates, onSent } = options;
  if (bytes === 0) return;
  const direct = rates.length === 0 && bytes >= WORTH_IT_BYTES ? openForSending(response) : undefined;
  if (direct) return sendDirectly(direct, response, file, from, bytes, onSent);
  memory.begin();
  try {
    const size = Math.min(bytes, memory.blocksATransfer * BLOCK_BYTES);
    let current: Buffer = Buffer.allocUnsafeSlow(size);
    let other: Buffer | undefined;
    let reading = readPiece(file, current, from, bytes);
    for (let sent = 0; sent < bytes; ) {
      const got = await reading;
      const piece = current.subarray(0, got);
      const rest = bytes - sent - got;
      if (rest > 0) {
        other ??= Buffer.allocUnsafeSlow(size);
        [current, other] = [other, current];
        // Awaited in the next round, which may never come.
        reading = awaitedLater(readPiece(file, current, from + sent + got, rest));
      }
      for (const rate of rates) await rate.pass(got);
      if (!(await write(response, piece))) {
        if (rest > 0) await reading.catch(() => {});
        return;
      }
      sent += got;
      onSent(got);
    }
  } finally {
    memory.end();
  }
}

/** Past what Node.js has sent; `undefined` where something of that is still to go, or another answer before it. */
function openForSending(response: ServerResponse): RawSocket | undefined {
  if (process.platform !== "linux") return undefined;
  response.flushHeaders();
  const { socket } = response;
  return socket && response.writableLength === 0 ? openRawSocket(socket) : undefined;
}

/** From the file into the socket on a thread of the addon: 50 downloads of 64 MiB took 1.6 times as long before. */
async function sendDirectly(
  { addon, handle }: RawSocket,
  response: ServerResponse,
  file: FileHandle,
  from: number,
  bytes: number,
  onSent: (bytes: number) => void,
): Promise<void> {
  // Node.js closes its own descriptor only.
  const onClose = () => addon.socketAbort(handle);
  response.once("close", onClose);
  try {
    for (let sent = 0; sent < bytes; ) {
      if (response.destroyed) return;
      const wanted = Math.min(bytes - sent, HOP_BYTES);
      const got = await addon.socketSend(handle, file.fd, from + sent, wanted).catch(goneOr);
      if (got === GONE) return;
      if (got < 0) throw endsEarly(from + sent, bytes - sent);
      sent += got;
      onSent(got);
      if (got < wanted && sent < bytes) await addon.socketWritable(handle);
    }
  } finally {
    response.off("close", onClose);
    addon.socketClose(handle);
  }
}

const GONE = -2;
const GONE_CODES: ReadonlySet<string | undefined> = new Set([
  "EPIPE",
  "ECONNRESET",
  "ETIMEDOUT",
  "EHOSTUNREACH",
]);

function goneOr(error: NodeJS.ErrnoException): number {
  if (GONE_CODES.has(error.code)) return GONE;
  throw error;
}

function endsEarly(at: number, missing: number): Error {
  return new Error(`the file ends at ${at}, ${missing} bytes too early`);
}

async function readPiece(file: FileHandle, into: Buffer, from: number, bytes: number): Promise<number> {
  const { bytesRead } = await file.read(into, 0, Math.min(into.length, bytes), from);
  if (bytesRead === 0) throw endsEarly(from, bytes);
  return bytesRead;
}

/** Resolves when the kernel has the bytes and the buffer may be used again. @returns false when nobody listens any more */
async function write(response: ServerResponse, piece: Buffer): Promise<boolean> {
  if (response.destroyed) return false;
  return new Promise((resolve) => {
    const onClose = () => resolve(false);
    response.once("close", onClose);
    response.write(piece, (error) => {
      response.off("close", onClose);
      resolve(!error);
    });
  });
}
