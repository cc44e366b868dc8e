/** A session without a kernel: requests are bytes, and what the kernel would say to replies is chosen. */

import { expect } from "vitest";
import type { Filesystem } from "../../src/fuse/filesystem.js";
import { Opcode, REQUEST_BYTES } from "../../src/fuse/kernel-abi.js";
import { type KernelPort, LeftOfPrepared } from "../../src/fuse/kernel-port.js";
import { Session } from "../../src/fuse/session.js";
import { directory, file, ToyFilesystem, type ToyNode } from "./toy-filesystem.js";

/** All that the kernel of 2026 offers, and a flag that nobody knows. */
export const OFFERED = 0x7bff_fffb;

export interface SentReply {
  readonly length: number;
  /** Positive. */
  readonly errno: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

export class RecordingPort implements KernelPort {
  session!: Session;
  readonly sent: SentReply[] = [];
  readonly notifications: Buffer[] = [];
  /** What the kernel says to the next replies; 0 when there is nothing. */
  readonly verdicts: number[] = [];

  reply(length: number): number {
    return this.#record(Buffer.from(this.session.replies.bytes.subarray(0, length)));
  }

  replyWithPieces(headLength: number, pieces: readonly Uint8Array[]): number {
    return this.#record(Buffer.concat([this.session.replies.bytes.subarray(0, headLength), ...pieces]));
  }

  notify(message: Uint8Array): void {
    this.notifications.push(Buffer.from(message));
  }

  store(): number {
    return 0;
  }

  withoutAttributes(): void {}

  prepare(): void {}

  withdraw(): LeftOfPrepared {
    return LeftOfPrepared.NOTHING;
  }

  #record(bytes: Buffer): number {
    const reply = {
      length: bytes.readUInt32LE(0),
      errno: 0 - bytes.readInt32LE(4),
      unique: bytes.readBigUInt64LE(8),
      body: bytes.subarray(16),
    };
    expect(reply.length).toBe(bytes.length);
    this.sent.push(reply);
    return this.verdicts.shift() ?? 0;
  }
}

export function begin(filesystem: Filesystem, options: { deadlineMs?: number; posixAcls?: boolean } = {}) {
  const port = new RecordingPort();
  const log: string[] = [];
  const session = new Session(filesystem, port, {
    readDeadlineMs: options.deadlineMs ?? 60_000,
    posixAcls: options.posixAcls ?? false,
    onLog: (line) => log.push(line),
  });
  port.session = session;
  let lastUnique = 0xfffffffen;
  /** Sends one request; the reply to it, if there is one already. */
  const ask = (opcode: number, node: number, body: Uint8Array = new Uint8Array(0)): SentReply | undefined => {
    lastUnique += 2n;
    const request = session.requests;
    request.fill(0xa5, 0, REQUEST_BYTES);
    request.writeUInt32LE(40 + body.length, 0);
    request.writeUInt32LE(opcode, 4);
    request.writeBigUInt64LE(lastUnique, 8);
    request.writeBigUInt64LE(BigInt(node), 16);
    request.set(body, 40);
    session.onRequests(1);
    return port.sent.find(({ unique }) => unique === lastUnique);
  };
  const initialise = (flags = OFFERED, minor = 45) =>
    ask(Opcode.INIT, 0, u32(7, minor, 131_072, flags, 0, 0, 0, 0));
  return { session, port, log, ask, initialise, lastUnique: () => lastUnique };
}

export function u32(...words: number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, i * 4);
  return bytes;
}

export const name = (text: string) => Buffer.from(`${text}\0`);
export const readIn = (position: number, generation: number, size: number) =>
  u32(0, 0, position, generation, size, 0, 0, 0, 0, 0);

export function records(body: Buffer, plus: boolean) {
  const found: { name: string; node: bigint; off: bigint; type: number }[] = [];
  for (let at = 0; at < body.length; ) {
    const dirent = plus ? at + 128 : at;
    const length = body.readUInt32LE(dirent + 16);
    found.push({
      name: body.toString("latin1", dirent + 24, dirent + 24 + length),
      node: plus ? body.readBigUInt64LE(at) : 0n,
      off: body.readBigUInt64LE(dirent + 8),
      type: body.readUInt32LE(dirent + 20),
    });
    at = dirent + ((24 + length + 7) & ~7);
  }
  return found;
}

export const toy = (children: Record<string, ToyNode> = { hello: file("hello") }, isAsync = false) =>
  new ToyFilesystem(directory(children), { isAsync });
