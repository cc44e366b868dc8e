/**
 * Where a command line reads from and writes to. Handed in, so that a test can run a command inside its own process
 * and nothing but `main.ts` touches `process`.
 */

import type { Readable, Writable } from "node:stream";
import type { Environment } from "./environment.js";
import type { StatusArea } from "./status-area.js";

export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  /** Fires on SIGINT and SIGTERM, and when whoever reads our output has gone. */
  readonly signal: AbortSignal;
  /** Calls the listener whenever SIGHUP arrives, which ends nothing. */
  onHangup(listener: () => void): void;
  /** The lines below the output that progress is shown in; does nothing unless stdout is a terminal. */
  readonly status: StatusArea;
}

type TerminalStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Bytes gathered before they are written to what is no terminal. */
const GATHER_BYTES = 64 * 1024;
/** Bytes not yet taken by the reader above which a writer should wait. */
const WAIT_BYTES = 1024 * 1024;

/** One of the two ways out. Keeps the order of what is written, and never breaks a line in two with progress. */
export class Output {
  readonly isTTY: boolean;
  readonly #stream: TerminalStream;
  readonly #status: StatusArea | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #scheduled = false;
  #failure: NodeJS.ErrnoException | undefined;

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
      this.#gathered = [];
      onFailure?.(error);
    });
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
    return this.write(`${JSON.stringify(value)}\n`);
  }

  /** Writes text or raw bytes. */
  write(data: string | Uint8Array): Promise<void> | undefined {
    if (this.#failure) return undefined;
    const bytes =
      typeof data === "string" ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.length);
    if (this.isTTY) {
      if (this.#status) this.#status.writeAbove(bytes);
      else this.#stream.write(bytes);
      return undefined;
    }
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= GATHER_BYTES) this.#pass();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#pass();
      });
    }
    return this.#stream.writableLength > WAIT_BYTES ? this.flush() : undefined;
  }

  /** Resolves when everything written so far has left the process, or the reader has gone. */
  flush(): Promise<void> {
    this.#pass();
    if (this.#failure) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#stream.off("error", done);
        resolve();
      };
      this.#stream.once("error", done);
      this.#stream.write("", done);
    });
  }

  #pass(): void {
    if (this.#gathered.length === 0 || this.#failure) return;
    const bytes = this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#stream.write(bytes);
  }
}
