import { createWriteStream, type WriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { messageOf, YoreError } from "../errors.js";

const MODE = 0o640;

/** How long a log that could not be written is left alone. */
const RETRY_MS = 10_000;

/** A log that can be moved away by whoever rotates logs. A full disk loses lines, and never stops the server. */
export class LogFile {
  readonly #path: string;
  readonly #onProblem: (line: string) => void;
  readonly #retryMs: number;
  #stream: WriteStream;
  /** On the clock of `performance`; `undefined` while all is well. */
  #failedAt: number | undefined;

  private constructor(path: string, onProblem: (line: string) => void, retryMs: number) {
    this.#path = path;
    this.#onProblem = onProblem;
    this.#retryMs = retryMs;
    this.#stream = this.#begin();
  }

  /**
   * @param onProblem gets what goes wrong later, one line each
   * @param retryMs how long a log that could not be written is left alone, milliseconds
   * @throws {YoreError} when it cannot be opened
   */
  static async open(path: string, onProblem: (line: string) => void, retryMs = RETRY_MS): Promise<LogFile> {
    try {
      await (await open(path, "a", MODE)).close();
    } catch (error) {
      throw new YoreError("backend", `Cannot write log "${path}": ${messageOf(error)}`, { cause: error });
    }
    return new LogFile(path, onProblem, retryMs);
  }

  write(line: string): void {
    if (this.#failedAt !== undefined) {
      if (performance.now() - this.#failedAt < this.#retryMs) return;
      this.reopen();
    }
    this.#stream.write(`${line}\n`);
  }

  reopen(): void {
    this.#stream.end();
    this.#stream = this.#begin();
  }

  close(): void {
    this.#stream.end();
  }

  #begin(): WriteStream {
    this.#failedAt = undefined;
    const stream = createWriteStream(this.#path, { flags: "a", mode: MODE });
    stream.on("error", (error) => {
      this.#onProblem(`Cannot write log "${this.#path}": ${messageOf(error)}`);
      if (stream === this.#stream) this.#failedAt = performance.now();
    });
    return stream;
  }
}
