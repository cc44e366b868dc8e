import { type IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Addon } from "../native/addon.js";
import type { SocketHandle } from "../native/body-socket-functions.js";
import { BodyPace, type LeastPace } from "./body-pace.js";
import { HOP_BYTES, openRawSocket, type RawSocket, takeSocket, WORTH_IT_BYTES } from "./raw-socket.js";
import { Refusal } from "./refusal.js";
import type { DirectUpload } from "./upload.js";

/**
 * The connection of a request whose body goes from the kernel into an upload on a thread of the addon: Node.js never sees
 * it. Memory is that of the threads, whatever the number of uploads. The server's own way costs a buffer, a copy and three
 * calls for each 64 KiB: 200 uploads at once took 1.7 times as long.
 */
export class BodyConnection {
  readonly #addon: Addon;
  #socket: SocketHandle;
  readonly #request: IncomingMessage;
  /** What the HTTP server had read already. */
  readonly #head: readonly Buffer[];
  #answering: Socket | undefined;
  #missing: number;
  #aborted = false;

  private constructor({ addon, handle }: RawSocket, request: IncomingMessage, missing: number) {
    this.#addon = addon;
    this.#socket = handle;
    this.#request = request;
    this.#missing = missing;
    this.#head = takeHead(request);
  }

  /** @param bytes of the whole body; NaN when it is not known */
  static take(request: IncomingMessage, response: ServerResponse, bytes: number): BodyConnection | undefined {
    const { socket } = request;
    // A complete body has arrived as a whole, and whatever follows it with it.
    if (!(bytes >= WORTH_IT_BYTES) || request.complete || !response.shouldKeepAlive) return undefined;
    // Otherwise the answer to an earlier request is still on its way: it would be lost.
    if (response.socket !== socket) return undefined;
    const raw = openRawSocket(socket);
    if (!raw) return undefined;
    const taken = new BodyConnection(raw, request, bytes);
    // Closes the descriptor that Node.js reads from: at once, so that it reads nothing more.
    socket.destroy();
    return taken;
  }

  /** Bytes of the body that have not arrived. */
  get missing(): number {
    return this.#missing;
  }

  /**
   * Receives the whole body.
   *
   * @param onBytes told how many have come, before they are written where they were read already, afterwards otherwise
   * @throws {Refusal} 400 when the body ends before its length, 408 when it brings fewer than `minRate` bytes a second on
   * average over `patienceMs`; and what writing throws
   */
  async receive(
    upload: DirectUpload,
    { onBytes, ...least }: LeastPace & { readonly onBytes: (bytes: number) => void },
  ): Promise<void> {
    const head = this.#head.reduce((sum, piece) => sum + piece.length, 0);
    this.#missing -= head;
    onBytes(head);
    await upload.append(this.#head);
    const expected = this.#missing;
    let tooSlow: Refusal | undefined;
    const pace = new BodyPace(least, {
      arrived: () => expected - this.#missing,
      onTooSlow: (refusal) => {
        tooSlow = refusal;
        this.#addon.socketShutdown(this.#socket);
      },
    });
    try {
      while (this.#missing > 0) {
        const wanted = Math.min(this.#missing, HOP_BYTES);
        const got = await upload.receive(this.#socket, wanted).catch(endedEarly);
        if (tooSlow) throw tooSlow;
        if (got < 0 || this.#aborted) throw new Refusal(400, "The upload ended before it was complete");
        this.#missing -= got;
        onBytes(got);
        if (got === wanted) continue;
        pace.waits();
        await this.#addon.socketReadable(this.#socket);
        pace.goesOn();
      }
    } finally {
      pace.end();
    }
  }

  /** `receive` and `next` come to their end soon, and an answer at once. */
  abort(): void {
    this.#aborted = true;
    this.#answering?.destroy();
    this.#addon.socketShutdown(this.#socket);
  }

  /**
   * What answers the request, after `receive`. Without `shouldKeepAlive`, nothing but the rest of the body will be read
   * from the connection.
   *
   * @param isLast that is so in any case, not only when there is no descriptor left to keep the connection with
   */
  answer(isLast: boolean): { readonly socket: Socket; readonly response: ServerResponse } {
    const fd = this.#addon.socketRelease(this.#socket);
    const kept = isLast ? undefined : takeSocket(this.#addon, fd);
    if (kept) this.#socket = kept;
    // Otherwise it would read what belongs to the next request.
    const socket = new Socket({ fd, readable: !kept, writable: true, allowHalfOpen: true });
    this.#answering = socket;
    // A client that has gone is noticed when the connection closes.
    socket.on("error", () => {});
    const response = new ServerResponse(this.#request);
    if (!kept) response.shouldKeepAlive = false;
    response.assignSocket(socket);
    return { socket, response };
  }

  /**
   * Waits for the next request, and gives the connection to Node.js as if it had just been accepted.
   *
   * @returns `undefined` when none came in time, or after `abort`; the connection is closed then
   */
  async next(patienceMs: number): Promise<Socket | undefined> {
    const timer = setTimeout(() => this.abort(), patienceMs);
    await this.#addon.socketReadable(this.#socket);
    clearTimeout(timer);
    if (this.#aborted) return void this.close();
    return new Socket({
      fd: this.#addon.socketRelease(this.#socket),
      readable: true,
      writable: true,
      allowHalfOpen: true,
    });
  }

  close(): void {
    this.#addon.socketClose(this.#socket);
  }
}

/** What lies in Node.js's buffers. Nothing more is read until the connection has been destroyed, in the same turn. */
function takeHead(request: IncomingMessage): Buffer[] {
  request.socket.pause();
  const pieces: Buffer[] = [];
  for (let piece = request.read(); piece !== null; piece = request.read()) pieces.push(piece as Buffer);
  return pieces;
}

const ENDED: ReadonlySet<string | undefined> = new Set(["ECONNRESET", "ETIMEDOUT", "EPIPE", "EHOSTUNREACH"]);

function endedEarly(error: NodeJS.ErrnoException): number {
  if (error.syscall === "recv" && ENDED.has(error.code)) return -1;
  throw error;
}
