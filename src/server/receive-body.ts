import type { IncomingMessage } from "node:http";
import type { TokenBucket } from "../async/token-bucket.js";
import { Refusal } from "./refusal.js";
import type { TransferMemory } from "./transfer-memory.js";

export interface ReceiveOptions {
  readonly memory: TransferMemory;
  readonly rates: readonly TokenBucket[];
  /** A body that brings fewer bytes in a second, on average over `patienceMs`, is cut off. */
  readonly minRate: number;
  readonly patienceMs: number;
}

/**
 * Takes the body of a request in pieces of bounded size and hands them on one call at a time, while the next ones
 * arrive: at most about twice `memory.share()` lies in memory.
 *
 * @param consume must be done with the pieces when it resolves
 * @returns bytes received
 * @throws {Refusal} 400 when the body ends before its length, 408 when it comes too slowly; and what `consume` throws
 */
export async function receiveBody(
  request: IncomingMessage,
  consume: (pieces: readonly Buffer[], bytes: number) => Promise<void>,
  options: ReceiveOptions,
): Promise<number> {
  const { memory, rates } = options;
  memory.begin();
  const inbox = new Inbox(request, memory, options);
  try {
    let received = 0;
    for (;;) {
      const { pieces, bytes } = await inbox.next();
      if (bytes === 0) return received;
      received += bytes;
      await consume(pieces, bytes);
      for (const rate of rates) await rate.pass(bytes);
    }
  } finally {
    inbox.close();
    memory.end();
  }
}

interface Batch {
  readonly pieces: Buffer[];
  readonly bytes: number;
}

/** What has arrived and was not taken yet. */
class Inbox {
  readonly #request: IncomingMessage;
  readonly #memory: TransferMemory;
  readonly #timer: NodeJS.Timeout;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #bytesSinceCheck = 0;
  #waitedSinceCheck = false;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(request: IncomingMessage, memory: TransferMemory, options: ReceiveOptions) {
    this.#request = request;
    this.#memory = memory;
    this.#timer = setInterval(() => this.#checkPace(options), options.patienceMs);
    this.#timer.unref();
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onError);
    request.on("close", this.#onClose);
  }

  /** Everything that has arrived, at least one piece; no bytes at the end of the body. */
  async next(): Promise<Batch> {
    while (this.#bytes === 0 && !this.#ended && !this.#failure) {
      this.#waitedSinceCheck = true;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
    const batch = { pieces: this.#pieces, bytes: this.#bytes };
    this.#pieces = [];
    this.#bytes = 0;
    if (!this.#ended) this.#request.resume();
    return batch;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#request.off("data", this.#onData);
    this.#request.off("end", this.#onEnd);
    this.#request.off("close", this.#onClose);
    // What is left of the body is read and thrown away by the server, so that the client gets its answer.
    this.#request.resume();
  }

  readonly #onData = (piece: Buffer) => {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.#bytesSinceCheck += piece.length;
    if (this.#bytes >= this.#memory.share()) this.#request.pause();
    this.#notify();
  };

  readonly #onEnd = () => {
    this.#ended = true;
    this.#notify();
  };

  readonly #onError = () => this.#fail(new Refusal(400, "The upload ended before it was complete"));

  readonly #onClose = () => {
    if (!this.#ended) this.#onError();
  };

  /** Only a client that we wait for can be too slow. */
  #checkPace({ minRate, patienceMs }: ReceiveOptions): void {
    const wanted = (minRate * patienceMs) / 1000;
    if (this.#waitedSinceCheck && this.#bytesSinceCheck < wanted && !this.#ended)
      this.#fail(new Refusal(408, "The upload is too slow", { connection: "close" }));
    this.#bytesSinceCheck = 0;
    this.#waitedSinceCheck = false;
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
