/**
 * zstd compiled to WebAssembly (@bokuweb/zstd-wasm), with contexts made once: a context for each call would cost half
 * of the time at 16 KiB. Its memory grows with the largest thing it has seen and never shrinks.
 */

import { compressUsingDict, createCCtx, createDCtx, decompressUsingDict, init } from "@bokuweb/zstd-wasm";
import { YoreError } from "../../errors.js";
import { splitFrames, type ZstdFrame } from "./zstd-frames.js";

/** An empty dictionary is none; the functions with one are those that take a context. */
const NO_DICTIONARY = new Uint8Array(0);

/** Its memory ends at 2 GiB and takes input and output at a time; it does not look whether an allocation failed. */
const MAX_BYTES = 2 ** 29;

/** What zstd answers when the output does not fit (ZSTD_error_dstSize_tooSmall); the package hands it on as text. */
const OUTPUT_TOO_SMALL = "-70";

/**
 * The package has one instance in a process, and a second `init` would leave it half old, half new. So what is known
 * of it must outlast a second copy of this module (two versions of yore in one program, a test runner).
 */
const instances = shared("yore.zstd-wasm", () => new WeakMap<typeof init, Promise<Zstd>>());

/** The one instance, compiled at the first call. */
export function loadZstd(): Promise<Zstd> {
  const known = instances.get(init);
  if (known) return known;
  const loading = init().then(() => new Zstd(createCCtx(), createDCtx()));
  instances.set(init, loading);
  return loading;
}

export class Zstd {
  readonly #compressContext: number;
  readonly #decompressContext: number;

  constructor(compressContext: number, decompressContext: number) {
    this.#compressContext = compressContext;
    this.#decompressContext = decompressContext;
  }

  /**
   * One frame with content size and without checksum.
   *
   * @throws {YoreError} with code `not-supported` beyond 512 MiB
   */
  compress(data: Uint8Array, level: number): Uint8Array {
    refuseHuge("compress", data.length);
    return compressUsingDict(this.#compressContext, data, NO_DICTIONARY, level);
  }

  /**
   * One or more whole frames.
   *
   * @returns at most `maxBytes`, or why it could not be
   * @throws {YoreError} with code `not-supported` beyond 512 MiB
   */
  decompress(data: Uint8Array, maxBytes: number): Uint8Array | "decompress" | "length" {
    const frames = splitFrames(data);
    if (frames === undefined) return "decompress";
    const parts: Uint8Array[] = [];
    let left = maxBytes;
    for (const frame of frames) {
      const part = this.#decompressFrame(frame, left);
      if (typeof part === "string") return part;
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : concatenate(parts);
  }

  #decompressFrame(frame: ZstdFrame, maxBytes: number): Uint8Array | "decompress" | "length" {
    if (frame.contentSize !== undefined) {
      if (frame.contentSize > maxBytes) return "length";
      // It would be refused later anyway, but only after the memory for it was taken.
      if (frame.contentSize > frame.maxContentSize) return "decompress";
    }
    const room = Math.min(frame.contentSize ?? frame.maxContentSize, maxBytes);
    refuseHuge("decompress", Math.max(frame.bytes.length, room));
    try {
      const options = { defaultHeapSize: room };
      return decompressUsingDict(this.#decompressContext, frame.bytes, NO_DICTIONARY, options);
    } catch (error) {
      return error instanceof Error && error.message.endsWith(OUTPUT_TOO_SMALL) ? "length" : "decompress";
    }
  }
}

function refuseHuge(verb: string, bytes: number): void {
  if (bytes > MAX_BYTES)
    throw new YoreError(
      "not-supported",
      `Cannot ${verb} data: ${bytes} bytes are more than the portable engine can take`,
      { hint: "The native engine has no such bound" },
    );
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Something that all copies of this module in a process share. */
function shared<T>(name: string, make: () => T): T {
  const globals = globalThis as Record<symbol, unknown>;
  const key = Symbol.for(name);
  globals[key] ??= make();
  return globals[key] as T;
}
