import type { FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import type { TokenBucket } from "../async/token-bucket.js";
import { BLOCK_BYTES, type TransferMemory } from "./transfer-memory.js";

/**
 * Sends a part of a file. The next piece is read while one is on its way, in two buffers that are
 * used again and again, the smaller the more transfers there are.
 *
 * @param from first byte
 * @param bytes how many; all of them must be there
 * @returns bytes sent, fewer when the client has gone
 * @throws what reading throws; Error when the file is shorter than it was
 */
export async function sendFile(
  response: ServerResponse,
  file: FileHandle,
  from: number,
  bytes: number,
  options: { readonly memory: TransferMemory; readonly rates: readonly TokenBucket[] },
): Promise<number> {
  const { memory, rates } = options;
  if (bytes === 0) return 0;
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
        reading = readPiece(file, current, from + sent + got, rest);
        // Awaited in the next round, which may never come.
        reading.catch(() => {});
      }
      for (const rate of rates) await rate.pass(got);
      if (!(await write(response, piece))) {
        if (rest > 0) await reading.catch(() => {});
        return sent;
      }
      sent += got;
    }
    return bytes;
  } finally {
    memory.end();
  }
}

async function readPiece(file: FileHandle, into: Buffer, from: number, bytes: number): Promise<number> {
  const { bytesRead } = await file.read(into, 0, Math.min(into.length, bytes), from);
  if (bytesRead === 0) throw new Error(`the file ends at ${from}, ${bytes} bytes too early`);
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
