import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { ByteRange } from "./byte-range.js";

/** Headers of what is no text. */
export const BINARY = { "content-type": "application/octet-stream", "accept-ranges": "bytes" };

/** A part of a file, as an answer has it. */
export interface Part {
  /** Text before the bytes. */
  readonly head: string;
  readonly first: number;
  readonly bytes: number;
}

/** Writes the head of the answer: 200, 206 with one range, or 206 with several as multipart/byteranges. */
export function describeParts(
  response: ServerResponse,
  ranges: readonly ByteRange[] | undefined,
  size: number,
): Part[] {
  if (!ranges) {
    response.writeHead(200, { ...BINARY, "content-length": size });
    return [{ head: "", first: 0, bytes: size }];
  }
  const contentRange = ({ first, last }: ByteRange) => `bytes ${first}-${last}/${size}`;
  const [only, ...others] = ranges as [ByteRange, ...ByteRange[]];
  if (others.length === 0) {
    const bytes = only.last - only.first + 1;
    response.writeHead(206, { ...BINARY, "content-length": bytes, "content-range": contentRange(only) });
    return [{ head: "", first: only.first, bytes }];
  }
  const boundary = randomBytes(16).toString("hex");
  const parts: Part[] = ranges.map((range) => ({
    head: `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: ${contentRange(range)}\r\n\r\n`,
    first: range.first,
    bytes: range.last - range.first + 1,
  }));
  parts.push({ head: `\r\n--${boundary}--\r\n`, first: 0, bytes: 0 });
  response.writeHead(206, {
    "accept-ranges": "bytes",
    "content-type": `multipart/byteranges; boundary=${boundary}`,
    "content-length": parts.reduce((sum, part) => sum + part.head.length + part.bytes, 0),
  });
  return parts;
}

/** Waits until a slow client has taken the text. @returns false when nobody listens any more */
export async function writeText(response: ServerResponse, text: string): Promise<boolean> {
  // Nothing more is told of one that has closed.
  if (response.destroyed) return false;
  if (text === "" || response.write(text)) return true;
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
  return !response.destroyed;
}
