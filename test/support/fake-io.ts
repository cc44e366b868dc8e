import { PassThrough, Writable } from "node:stream";
import { type Io, Output } from "../../src/cli/output.js";
import { StatusArea } from "../../src/cli/status-area.js";

export interface FakeIoOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Makes stdout and stderr one terminal of so many columns. */
  readonly terminalColumns?: number;
  readonly input?: string;
  readonly calledAs?: string;
}

/** An `Io` of streams in memory, for running commands inside the test. */
export class FakeIo implements Io {
  readonly stdin = new PassThrough();
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly calledAs: string;
  readonly status: StatusArea;
  readonly controller = new AbortController();
  readonly #stdout = new Collector();
  readonly #stderr = new Collector();

  constructor(options: FakeIoOptions = {}) {
    this.env = options.env ?? {};
    this.calledAs = options.calledAs ?? "yore";
    const terminal = Object.assign(this.#stdout, { isTTY: true, columns: options.terminalColumns });
    this.status = new StatusArea(options.terminalColumns ? terminal : undefined);
    if (!options.terminalColumns) terminal.isTTY = false;
    this.stdout = new Output(this.#stdout, this.status);
    this.stderr = new Output(this.#stderr);
    this.stdin.end(options.input ?? "");
  }

  onHangup(): void {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** What was written to stdout so far. */
  get out(): string {
    return this.#stdout.text;
  }

  get err(): string {
    return this.#stderr.text;
  }
}

class Collector extends Writable {
  readonly #pieces: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#pieces).toString();
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.#pieces.push(piece);
    done();
  }
}
