/** Requests of random bytes: each gets exactly one reply, or none where the protocol has none, and nothing is thrown. */

import { describe, expect, it } from "vitest";
import { InitFlag, Opcode, REQUEST_BYTES } from "../../src/fuse/kernel-abi.js";
import { type KernelPort, LeftOfPrepared } from "../../src/fuse/kernel-port.js";
import { Session } from "../../src/fuse/session.js";
import { randomNumbers } from "../support/random.js";
import { directory, file, ToyFilesystem } from "./toy-filesystem.js";

const SILENT = new Set<number>([Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY]);
const ROUNDS = 30_000;

describe("Session", () => {
  it.each([1, 2, 3])("answers requests of random bytes once each (seed %i)", async (seed) => {
    const random = randomNumbers(seed);
    const replies = new Map<bigint, number>();
    const sent = (bytes: Buffer, length: number) => {
      expect(bytes.readUInt32LE(0)).toBe(length);
      const unique = bytes.readBigUInt64LE(8);
      replies.set(unique, (replies.get(unique) ?? 0) + 1);
      return 0;
    };
    const port: KernelPort = {
      reply: (length) => sent(session.replies.bytes, length),
      replyWithPieces: (headLength, pieces) =>
        sent(
          session.replies.bytes,
          pieces.reduce((sum, piece) => sum + piece.length, headLength),
        ),
      notify: () => {},
      store: () => 0,
      withoutAttributes: () => {},
      prepare: () => {},
      withdraw: () => LeftOfPrepared.ALL,
    };
    const children = { a: file("alpha"), b: directory({ c: file("gamma") }) };
    const session = new Session(new ToyFilesystem(directory(children)), port, {
      readDeadlineMs: 60_000,
      posixAcls: false,
      onLog: undefined,
    });
    const request = session.requests;
    const ask = (opcode: number, unique: bigint, body: Buffer, length = 40 + body.length) => {
      request.fill(0, 0, REQUEST_BYTES);
      request.writeUInt32LE(length, 0);
      request.writeUInt32LE(opcode, 4);
      request.writeBigUInt64LE(unique, 8);
      const far = BigInt(random(2 ** 32)) << BigInt(random(33));
      request.writeBigUInt64LE(random(4) > 0 ? BigInt(random(5)) : far, 16);
      request.set(body, 40);
      session.onRequests(1);
    };
    const initialise = Buffer.alloc(16);
    initialise.writeUInt32LE(7, 0);
    initialise.writeUInt32LE(40, 4);
    initialise.writeUInt32LE(InitFlag.DO_READDIRPLUS, 12);
    ask(Opcode.INIT, 1n, initialise);

    const wanted = new Map<bigint, number>([[1n, 1]]);
    for (let i = 0; i < ROUNDS; i++) {
      const unique = BigInt(2 * i + 2);
      const opcode = random(20) > 0 ? random(60) : random(2 ** 32);
      const body = Buffer.alloc(random(5) > 0 ? random(64) : random(2000));
      // Small numbers are positions, sizes and counts that mean something.
      for (let at = 0; at < body.length; at++) body[at] = random(3) > 0 ? 0 : random(256);
      const length = random(10) === 0 ? random(9000) : 40 + body.length;
      ask(opcode, unique, body, length);
      // No kernel sends such a length, and nothing else in the request can be believed.
      const isReadable = length >= 40 && length <= REQUEST_BYTES;
      wanted.set(unique, SILENT.has(opcode) || !isReadable ? 0 : 1);
    }
    await new Promise((resolve) => setImmediate(resolve));
    const wrong = [...wanted].filter(([unique, count]) => (replies.get(unique) ?? 0) !== count);
    expect(wrong).toEqual([]);
    expect(replies.size).toBe([...wanted.values()].filter((count) => count === 1).length);
  });
});
