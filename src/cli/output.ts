/**
 * Where a command line reads from and writes to. Handed in, so that a test can run a command inside its own process
 * and nothing but `main.ts` touches `process`.
 */

import type { Readable, Writable } from "node:stream";
import { bytesOfText, textForPeople } from "../bytes/utf8.js";
import type { Environment } from "./environment.js";
import type { StatusArea } from "./status-area.js";

export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  /** The name of the file that was started: `yore`, `main.js`, or that of a link to it. */
  readonly calledAs: string;
  /** Fires on SIGINT and SIGTERM, and when whoever reads our output has gone. */
  readonly signal: AbortSignal;
  /** Calls the listener whenever SIGHUP arrives, which ends nothing. */
  onHangup(listener: () => void): void;
  /** The lines below the output that progress is shown in; does nothing unless stdout is a terminal. */
  readonly status: StatusArea;
}

type TerminalStream = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly fd?: number;
};

/** Bytes gathered before they are written to what is no terminal. */
const GATHER_BYTES = 64 * 1024;
/** Bytes not yet taken by the reader above which a writer should wait. */
const WAIT_BYTES = 1024 * 1024;

/** One of the two ways out. Keeps the order of what is written, and never breaks a line in two with progress. */
export class Output {
  readonly isTTY: boolean;
  readonly #stream: TerminalStream;
  readonly #status: StatusArea | undefined;
  /** What is written to no terminal is gathered here; made when it is needed, and handed on as it is. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #scheduled = false;
  #failure: NodeJS.ErrnoException | undefined;
  #draining: Promise<void> | undefined;
  /** Whoever waits for something to leave the process. */
  readonly #waiting = new Set<() => void>();

  /** @param onFailure called once when nothing more can be written: the reader has gone, or the disk is full */
  constructor(
    stream: TerminalStream,
    status?: StatusArea,
    onFailure?: (error: NodeJS.ErrnoException) => void,
  ) {
    this.#stream = stream;
    this.isTTY = stream.isTTY === true;
    this.#status = this.isTTY ? status : undefined;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#failure) return;
      this.#failure = error;
      this.#gatheredBytes = 0;
      for (const resolve of this.#waiting) resolve();
      this.#waiting.clear();
      onFailure?.(error);
    });
  }

  /** File descriptor, where what is written goes to one. */
  get fd(): number | undefined {
    return this.#stream.fd;
  }

  /** Columns of the terminal; 80 when there is none. */
  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** Why nothing more can be written. */
  get failure(): NodeJS.ErrnoException | undefined {
    return this.#failure;
  }

  /** True once the reader has gone, which is its right: a pipe that was closed, a terminal that hung up. */
  get abandoned(): boolean {
    return this.#failure?.code === "EPIPE" || this.#failure?.code === "EIO";
  }

  /** Writes a line. Whoever writes many awaits the result, so that a slow reader does not fill the memory. */
  line(text = ""): Promise<void> | undefined {
    return this.write(`${text}\n`);
  }

  /** Writes a JSON value on a line of its own. */
  json(value: unknown): Promise<void> | undefined {
    const text = JSON.stringify(value);
    // A path that keeps bytes which are no UTF-8: "\\udcff" would be no text to most who read it.
    return this.write(`${text.includes("\\udc") ? JSON.stringify(value, forPeople) : text}\n`);
  }

  /** Writes raw bytes as a line. */
  writeLine(bytes: Uint8Array): Promise<void> | undefined {
    if (this.isTTY) return this.write(Buffer.concat([bytes, NEWLINE]));
    this.write(bytes);
    return this.write(NEWLINE);
  }

  /** Writes text or raw bytes. */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#failure) return undefined;
    if (this.isTTY) {
      const bytes =
        typeof data === "string" ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.length);
      if (this.#status) this.#status.writeAbove(bytes);
      else this.#stream.write(bytes);
      return undefined;
    }
    this.#gather(data);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pass();
      });
    }
    return this.#stream.writableLength > WAIT_BYTES ? this.#drained() : undefined;
  }

  /**
   * Writes raw bytes without copying them when they are many: until the promise resolves they must be left alone. Without
   * one they are free.
   */
  pass(bytes: Uint8Array): Promise<void> | undefined {
    if (this.isTTY) return this.write(Buffer.from(bytes));
    if (this.#failure || bytes.length <= GATHER_BYTES) return this.write(bytes);
    this.#pass();
    return this.#passed(bytes);
  }

  /** Resolves when everything written so far has left the process, or the reader has gone. */
  flush(): Promise<void> {
    this.#pass();
    return this.#failure ? Promise.resolve() : this.#passed("");
  }

  /** Resolves when what the stream was handed so far has left the process; the same for all who ask until then. */
  #drained(): Promise<void> {
    this.#draining ??= this.#passed("").then(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  /** Resolves when this and all before it has left the process, or the reader has gone. */
  #passed(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      this.#stream.write(data, () => {
        this.#waiting.delete(resolve);
        resolve();
      });
    });
  }

  /** Copies: a hundred thousand short lines as buffers of their own take longer than to make them. */
  #gather(data: string | Uint8Array): void {
    const isText = typeof data === "string";
    const most = isText ? MAX_BYTES_A_CHARACTER * data.length : data.length;
    if (this.#gatheredBytes + most > GATHER_BYTES) this.#pass();
    if (most > GATHER_BYTES) {
      this.#stream.write(isText ? data : Buffer.from(data));
      return;
    }
    this.#gathered ??= Buffer.allocUnsafeSlow(GATHER_BYTES);
    if (isText) this.#gatheredBytes += this.#gathered.write(data, this.#gatheredBytes);
    else {
      this.#gathered.set(data, this.#gatheredBytes);
      this.#gatheredBytes += data.length;
    }
  }

  #pass(): void {
    if (!this.#gathered || this.#gatheredBytes === 0 || this.#failure) return;
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = undefined;
    this.#gatheredBytes = 0;
    this.#stream.write(bytes);
  }
}

const NEWLINE = Buffer.from("\n");
/** Of UTF-8, for each UTF-16 unit of a string. */
const MAX_BYTES_A_CHARACTER = 3;

function forPeople(_: string, value: unknown): unknown {
  return typeof value === "string" ? textForPeople(bytesOfText(value)) : value;
}
