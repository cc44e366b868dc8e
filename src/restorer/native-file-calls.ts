import { getSystemErrorMap } from "node:util";
import type { MetadataFunctions } from "../native/metadata-functions.js";
import type { FileCall, FileCallFailure, FileCallRunner, FileStatus } from "./file-call.js";

/** Numbers and layout as drawn in native/src/metadata.cc. */
const KINDS: Readonly<Record<FileCall["kind"], number>> = {
  directory: 0,
  write: 1,
  symlink: 2,
  node: 3,
  link: 4,
  owner: 5,
  "set-xattr": 6,
  "keep-xattrs": 7,
  times: 8,
  mode: 9,
  remove: 10,
};
/** `write` with a status. */
const KIND_FILE = 12;
const HEADER_SIZE = 48;
const OFFSET_NAME_LENGTH = 4;
const OFFSET_DATA_LENGTH = 8;
const OFFSET_FIRST = 12;
const OFFSET_SECOND = 16;
const OFFSET_MTIME_NS = 20;
const OFFSET_ATIME_NS = 24;
const OFFSET_MODE = 28;
const OFFSET_WIDE = 32;
const OFFSET_ATIME = 40;

const MAX_SPARE_BYTES = 8 * 1024 * 1024;

const NO_DATA = Buffer.alloc(0);

/** Hands the calls to the addon as one program. */
export class NativeFileCalls implements FileCallRunner {
  readonly #addon: MetadataFunctions;
  readonly #root: Uint8Array;
  /** Memory of the last program, for the next: a new one each time keeps the garbage collector busy. */
  #spare: Buffer | undefined;

  /** @param root absolute path of the folder that everything happens below */
  constructor(addon: MetadataFunctions, root: Uint8Array) {
    this.#addon = addon;
    this.#root = root;
  }

  async run(calls: readonly FileCall[]): Promise<FileCallFailure[]> {
    const spare = this.#spare;
    this.#spare = undefined;
    const program = encodeFileCalls(calls, spare);
    const pairs = await this.#addon.runFileCalls(this.#root, program);
    if (program.buffer.byteLength <= MAX_SPARE_BYTES) this.#spare = Buffer.from(program.buffer);
    const failures: FileCallFailure[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      const number = Math.abs(pairs[i + 1]!);
      const [code, reason] = getSystemErrorMap().get(-number) ?? [`E${number}`, "unknown error"];
      failures.push({ position: pairs[i]!, code, reason, ...(pairs[i + 1]! < 0 ? { isWritten: true } : {}) });
    }
    return failures;
  }
}

/** @param spare memory that is used if it is large enough */
export function encodeFileCalls(calls: readonly FileCall[], spare?: Buffer): Buffer {
  const data = calls.map(dataOf);
  let size = 0;
  for (const [i, call] of calls.entries()) size += HEADER_SIZE + call.name.length + data[i]!.length;
  const isRoomy = spare !== undefined && spare.length >= size;
  const program = isRoomy ? spare.subarray(0, size) : Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const [i, call] of calls.entries()) {
    encodeHeader(program, at, call, data[i]!.length);
    program.set(call.name, at + HEADER_SIZE);
    program.set(data[i]!, at + HEADER_SIZE + call.name.length);
    at += HEADER_SIZE + call.name.length + data[i]!.length;
  }
  return program;
}

function encodeHeader(program: Buffer, at: number, call: FileCall, dataLength: number): void {
  program.fill(0, at, at + HEADER_SIZE);
  program.writeUInt32LE(KINDS[call.kind], at);
  program.writeUInt32LE(call.name.length, at + OFFSET_NAME_LENGTH);
  program.writeUInt32LE(dataLength, at + OFFSET_DATA_LENGTH);
  switch (call.kind) {
    case "node":
      program.writeUInt32LE(call.mode, at + OFFSET_FIRST);
      program.writeBigUInt64LE(BigInt.asUintN(64, call.device), at + OFFSET_WIDE);
      break;
    case "write":
      if (!call.status) break;
      program.writeUInt32LE(KIND_FILE, at);
      program.writeUInt32LE(call.status.mode, at + OFFSET_MODE);
      encodeOwner(program, at, call.status);
      encodeTimes(program, at, call.status);
      break;
    case "owner":
      encodeOwner(program, at, call);
      break;
    case "times":
      encodeTimes(program, at, call);
      break;
    case "mode":
      program.writeUInt32LE(call.mode, at + OFFSET_FIRST);
      break;
  }
}

function encodeOwner(program: Buffer, at: number, { uid, gid }: Pick<FileStatus, "uid" | "gid">): void {
  program.writeUInt32LE(uid >>> 0, at + OFFSET_FIRST);
  program.writeUInt32LE(gid >>> 0, at + OFFSET_SECOND);
}

function encodeTimes(
  program: Buffer,
  at: number,
  { mtime, atime }: Pick<FileStatus, "mtime" | "atime">,
): void {
  program.writeUInt32LE(mtime.nanoseconds, at + OFFSET_MTIME_NS);
  program.writeUInt32LE(atime.nanoseconds, at + OFFSET_ATIME_NS);
  program.writeBigInt64LE(BigInt(mtime.seconds), at + OFFSET_WIDE);
  program.writeBigInt64LE(BigInt(atime.seconds), at + OFFSET_ATIME);
}

function dataOf(call: FileCall): Uint8Array {
  switch (call.kind) {
    case "write":
      return call.data;
    case "symlink":
      return call.target;
    case "link":
      return call.source;
    case "set-xattr":
      return Buffer.concat([Buffer.from(`${call.attribute}\0`), call.value]);
    case "keep-xattrs":
      return Buffer.from(call.attributes.map((name) => `${name}\0`).join(""));
    default:
      return NO_DATA;
  }
}
