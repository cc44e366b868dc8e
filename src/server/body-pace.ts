import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { Refusal } from "./refusal.js";

/** How slow a client may be. */
export interface LeastPace {
  /** A body that brings fewer bytes in a second, on average over `patienceMs`, is cut off. */
  readonly minRate: number;
  readonly patienceMs: number;
}

/** Holds a body against the least pace. Only a client that somebody waits for can be too slow. */
export class BodyPace {
  readonly #timer: NodeJS.Timeout;
  #isWaiting = false;
  #hasWaited = false;
  #before = 0;

  /**
   * @param arrived bytes of the body so far
   * @param onTooSlow called once, with what the client is to be told
   */
  constructor(
    { minRate, patienceMs }: LeastPace,
    { arrived, onTooSlow }: { arrived(): number; onTooSlow(refusal: Refusal): void },
  ) {
    this.#timer = setInterval(() => {
      const now = arrived();
      const hasWaited = this.#isWaiting || this.#hasWaited;
      if (hasWaited && now - this.#before < (minRate * patienceMs) / 1000) {
        this.end();
        onTooSlow(new Refusal(408, "The upload is too slow", { connection: "close" }));
      }
      this.#before = now;
      this.#hasWaited = false;
    }, patienceMs);
    this.#timer.unref();
  }

  /** From now on the client is waited for. */
  waits(): void {
    this.#isWaiting = true;
    this.#hasWaited = true;
  }

  goesOn(): void {
    this.#isWaiting = false;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/**
 * For what a client still sends after it was answered: it is read and thrown away, so that the client gets its answer,
 * but nobody can keep a connection for ever by sending a body drop by drop.
 *
 * @param body ends when there is no more of it
 * @param onOver called then, or when the connection has closed
 */
export function limitRest(socket: Socket, least: LeastPace, body: Readable, onOver?: () => void): void {
  const pace = new BodyPace(least, {
    arrived: () => socket.bytesRead,
    onTooSlow: () => socket.destroy(),
  });
  pace.waits();
  const end = () => {
    pace.end();
    body.off("end", end);
    socket.off("close", end);
    onOver?.();
  };
  body.once("end", end);
  socket.once("close", end);
}
