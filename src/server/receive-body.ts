import type { IncomingMessage } from "node:http";
import type { TokenBucket } from "../async/token-bucket.js";
import { BodyPace, type LeastPace } from "./body-pace.js";
import { Refusal } from "./refusal.js";
import { BLOCK_BYTES, type Lender, type TransferMemory } from "./transfer-memory.js";

export interface ReceiveOptions extends LeastPace {
  readonly memory: TransferMemory;
  readonly rates: readonly TokenBucket[];
}

/**
 * Takes the body of a request in pieces and hands them on one call at a time, while the next ones arrive, as far as the
 * memory that all transfers share allows.
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
  const inbox = new Inbox(request, memory, options);
  try {
    let received = 0;
    for (;;) {
      const { blocks, pieces, bytes } = await inbox.next();
      if (bytes === 0) return received;
      received += bytes;
      try {
        await consume(pieces, bytes);
      } finally {
        memory.give(blocks);
      }
      for (const rate of rates) await rate.pass(bytes);
    }
  } finally {
    inbox.close();
  }
}

interface Batch {
  /** To be given back. */
  readonly blocks: readonly Buffer[];
  /** What of them is filled. */
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
}

/** What has arrived and was not taken yet. */
class Inbox implements Lender {
  readonly #request: IncomingMessage;
  readonly #memory: TransferMemory;
  readonly #pace: BodyPace;
  /** While the consumer is at work. Where a rate holds it up, what is read ahead would keep blocks from the others. */
  readonly #readsAhead: boolean;
  #blocks: Buffer[] = [];
  /** Empty. */
  #spare: Buffer[] = [];
  /** Bytes in the blocks: all but the last are full. */
  #bytes = 0;
  #arrived = 0;
  #ended = false;
  #closed = false;
  #waitsForMemory = false;
  /** Nothing has come since the last call of `lend`. */
  #quiet = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(request: IncomingMessage, memory: TransferMemory, options: ReceiveOptions) {
    this.#request = request;
    this.#memory = memory;
    this.#readsAhead = options.rates.length === 0;
    this.#pace = new BodyPace(options, {
      arrived: () => this.#arrived,
      onTooSlow: (refusal) => {
        if (!this.#ended) this.#fail(refusal);
      },
    });
    memory.begin(this);
    request.pause();
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    request.on("error", this.#onError);
    request.on("close", this.#onClose);
    // The client may have gone while its password was looked at: nothing more is told about the request then.
    if (request.destroyed) this.#onClose();
  }

  /** Everything that has arrived, at least one piece; no bytes at the end of the body. */
  async next(): Promise<Batch> {
    while (this.#bytes === 0 && !this.#ended && !this.#failure) {
      this.#goOn();
      this.#pace.waits();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#pace.goesOn();
    }
    if (this.#failure) throw this.#failure;
    const blocks = this.#blocks;
    const pieces = blocks.map((block, i) => block.subarray(0, this.#bytes - i * BLOCK_BYTES));
    const batch = { blocks, pieces, bytes: this.#bytes };
    this.#blocks = [];
    this.#bytes = 0;
    if (this.#readsAhead) this.#goOn();
    else this.#rest();
    return batch;
  }

  close(): void {
    this.#pace.end();
    this.#closed = true;
    this.#memory.end(this);
    this.#memory.give([...this.#blocks, ...this.#spare]);
    this.#blocks = [];
    this.#spare = [];
    this.#request.off("data", this.#onData);
    this.#request.off("end", this.#onEnd);
    this.#request.off("close", this.#onClose);
    // What is left of the body is read and thrown away by the server, so that the client gets its answer.
    this.#request.resume();
  }

  readonly #onData = (piece: Buffer) => {
    this.#arrived += piece.length;
    this.#quiet = false;
    // Copied, so that what Node.js made for it dies young: kept until it is written, a hundred uploads' pieces grow old
    // together and 100 MiB of them wait for a full garbage collection.
    for (let at = 0; at < piece.length; ) {
      const filled = this.#bytes % BLOCK_BYTES;
      if (this.#bytes === this.#blocks.length * BLOCK_BYTES)
        this.#blocks.push(this.#spare.pop() ?? this.#memory.take());
      const count = piece.copy(this.#blocks.at(-1)!, filled, at);
      at += count;
      this.#bytes += count;
    }
    this.#memory.dropped(piece.length);
    const enough = this.#blocks.length >= this.#memory.blocksATransfer;
    if (this.#memory.isFull || enough) this.#request.pause();
    this.#notify();
  };

  lend(): Buffer[] {
    const lent = this.#quiet ? this.#spare : [];
    if (this.#quiet) this.#spare = [];
    this.#quiet = true;
    return lent;
  }

  /** Reads on when there is a block to put it in, in turn with the others. */
  #goOn(): void {
    if (this.#ended || this.#waitsForMemory || !this.#request.isPaused()) return;
    this.#waitsForMemory = true;
    this.#memory.takeWhenFree((block) => {
      this.#waitsForMemory = false;
      if (this.#closed) return this.#memory.give([block]);
      this.#spare.push(block);
      this.#quiet = false;
      this.#request.resume();
    });
  }

  /** Reads nothing until the consumer asks. */
  #rest(): void {
    this.#request.pause();
    this.#memory.give(this.#spare);
    this.#spare = [];
  }

  readonly #onEnd = () => {
    this.#ended = true;
    this.#notify();
  };

  readonly #onError = () => this.#fail(new Refusal(400, "The upload ended before it was complete"));

  readonly #onClose = () => {
    if (!this.#ended) this.#onError();
  };

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
