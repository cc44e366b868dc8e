import { largeMemory } from "../bytes/large-memory.js";
import { bytesOfText } from "../bytes/utf8.js";
import { describeErrno } from "../native/describe-errno.js";
import type { MetadataFunctions } from "../native/metadata-functions.js";
import type { FileCall, FileCallFailure, FileCallRunner, FileStatus, PartCall } from "./file-call.js";

/** Numbers and layout as drawn in native/src/file_calls.h. */
const KINDS: Readonly<Record<FileCall["kind"] | PartCall["kind"], number>> = {
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
  folder: 13,
  "write-part": 14,
  piece: 16,
};
/** `write` and `write-part` with a status. */
const KIND_FILE = 12;
const KIND_FILE_PART = 15;
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

const FLAG_SPARSE = 1;

const MAX_SPARE_BYTES = 8 * 1024 * 1024;
const MAX_SPARES = 4;

const NO_DATA = Buffer.alloc(0);
/** Only its length counts. */
const PART_AND_FLAGS = Buffer.alloc(8);

/** Hands the calls to the addon as one program. */
export class NativeFileCalls implements FileCallRunner {
  readonly #addon: MetadataFunctions;
  readonly #root: Uint8Array;
  readonly #programs = new ProgramMemory();

  /** @param root absolute path of the folder that everything happens below */
  constructor(addon: MetadataFunctions, root: Uint8Array) {
    this.#addon = addon;
    this.#root = root;
  }

  async run(calls: readonly FileCall[]): Promise<FileCallFailure[]> {
    const program = this.#programs.encode(calls);
    const failures = await this.#addon.runFileCalls(this.#root, program);
    this.#programs.release(program);
    return decodeFailures(failures);
  }
}

/** Encodes programs into memory of earlier ones: new memory each time keeps the garbage collector busy. */
export class ProgramMemory {
  readonly #spares: Buffer[] = [];

  encode(calls: readonly (FileCall | PartCall)[]): Buffer {
    return encodeFileCalls(calls, this.#spares.pop());
  }

  /** Takes back what `encode` has given, when the program is through. */
  release(program: Buffer): void {
    const memory = Buffer.from(program.buffer, program.byteOffset);
    if (memory.length <= MAX_SPARE_BYTES && this.#spares.length < MAX_SPARES) this.#spares.push(memory);
  }
}

/** Pairs of position and errno, as the addon returns them. */
export function decodeFailures(pairs: Int32Array): FileCallFailure[] {
  const failures: FileCallFailure[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const number = Math.abs(pairs[i + 1]!);
    const [code, reason] = describeErrno(number) ?? [`E${number}`, "unknown error"];
    failures.push({ position: pairs[i]!, code, reason, ...(pairs[i + 1]! < 0 ? { isWritten: true } : {}) });
  }
  return failures;
}

/** @param spare memory that is used if it is large enough */
function encodeFileCalls(calls: readonly (FileCall | PartCall)[], spare?: Buffer): Buffer {
  const data = calls.map(dataOf);
  let size = 0;
  for (let i = 0; i < calls.length; i++) size += HEADER_SIZE + nameOf(calls[i]!).length + data[i]!.length;
  const isRoomy = spare !== undefined && spare.length >= size;
  const program = isRoomy ? spare.subarray(0, size) : largeMemory(size);
  let at = 0;
  for (let i = 0; i < calls.length; i++) {
    const call = calls[i]!;
    const name = nameOf(call);
    encodeHeader(program, at, call, data[i]!.length);
    program.set(name, at + HEADER_SIZE);
    at += HEADER_SIZE + name.length;
    if ("part" in call) {
      program.writeUInt32LE(call.part, at);
      program.writeUInt32LE(call.isSparse ? FLAG_SPARSE : 0, at + 4);
    } else {
      program.set(data[i]!, at);
    }
    at += data[i]!.length;
  }
  return program;
}

function nameOf(call: FileCall | PartCall): Buffer {
  return call.kind === "piece" ? NO_DATA : call.name;
}

function encodeHeader(program: Buffer, at: number, call: FileCall | PartCall, dataLength: number): void {
  program.fill(0, at, at + HEADER_SIZE);
  program.writeUInt32LE(KINDS[call.kind], at);
  program.writeUInt32LE(nameOf(call).length, at + OFFSET_NAME_LENGTH);
  program.writeUInt32LE(dataLength, at + OFFSET_DATA_LENGTH);
  switch (call.kind) {
    case "node":
      program.writeUInt32LE(call.mode, at + OFFSET_FIRST);
      program.writeBigUInt64LE(BigInt.asUintN(64, call.device), at + OFFSET_WIDE);
      break;
    case "write":
    case "write-part":
      if (!call.status) break;
      program.writeUInt32LE(call.kind === "write" ? KIND_FILE : KIND_FILE_PART, at);
      program.writeUInt32LE(call.status.mode, at + OFFSET_MODE);
      encodeOwner(program, at, call.status);
      encodeTimes(program, at, call.status);
      break;
    case "piece":
      program.writeUInt32LE(call.fd, at + OFFSET_FIRST);
      writeInt64(program, call.offset, at + OFFSET_WIDE);
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
  writeInt64(program, mtime.seconds, at + OFFSET_WIDE);
  writeInt64(program, atime.seconds, at + OFFSET_ATIME);
}

/** A whole number within the exact ones, without making a bigint of it. */
function writeInt64(program: Buffer, value: number, at: number): void {
  program.writeInt32LE(Math.floor(value / 2 ** 32), at + 4);
  program.writeUInt32LE(value - Math.floor(value / 2 ** 32) * 2 ** 32, at);
}

function dataOf(call: FileCall | PartCall): Uint8Array {
  switch (call.kind) {
    case "write":
      return call.data;
    case "write-part":
    case "piece":
      return PART_AND_FLAGS;
    case "symlink":
      return call.target;
    case "link":
      return call.source;
    case "set-xattr":
      return Buffer.concat([bytesOfText(`${call.attribute}\0`), call.value]);
    case "keep-xattrs":
      return bytesOfText(call.attributes.map((name) => `${name}\0`).join(""));
    default:
      return NO_DATA;
  }
}
