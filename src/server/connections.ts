import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { BodyConnection } from "./body-connection.js";
import { type LeastPace, limitRest } from "./body-pace.js";
import type { Metrics } from "./metrics.js";

/** How long a connection may be idle between requests: a little more than restic's 90 s, which then closes it. */
export const KEEP_ALIVE_MS = 100_000;

/** How long a new connection may take for its first request when the server ends: clients connect ahead of need. */
const FIRST_REQUEST_MS = 5_000;

/**
 * The connections of a server: those that its HTTP side has, and those that bring a body past it. All of them are counted,
 * and at the end waited for and cut off.
 */
export class Connections {
  readonly #server: Server;
  readonly #metrics: Metrics | undefined;
  readonly #least: LeastPace;
  readonly #open = new Set<Socket>();
  readonly #lent = new Set<BodyConnection>();
  /** Of these, what waits for its next request. */
  readonly #parked = new Set<BodyConnection>();
  /** The newest answer of each connection that has asked; nothing when it is out and all of its request has come. */
  readonly #answers = new Map<Socket, ServerResponse | undefined>();
  #closing = false;
  #onAllClosed: (() => void) | undefined;

  /** @param least pace of the rest of a body that is not wanted any more */
  constructor(server: Server, metrics: Metrics | undefined, least: LeastPace) {
    this.#server = server;
    this.#metrics = metrics;
    this.#least = least;
    server.on("connection", (socket: Socket) => this.#add(socket));
    server.on("request", (_request: IncomingMessage, response: ServerResponse) => this.#follow(response));
  }

  /**
   * Takes the connection of a request out of the HTTP server, so that its body need not pass through JavaScript. The
   * response is dead from then on: `giveBack` makes another.
   *
   * @param bytes of the whole body
   * @returns `undefined` where that cannot be, or is not worth it
   */
  lend(request: IncomingMessage, response: ServerResponse, bytes: number): BodyConnection | undefined {
    const connection = BodyConnection.take(request, response, bytes);
    if (!connection) return undefined;
    this.#lent.add(connection);
    this.#metrics?.connections(1);
    return connection;
  }

  /** @returns what the answer is written to; it must be ended */
  giveBack(connection: BodyConnection): ServerResponse {
    const { socket, response } = connection.answer(this.#closing || connection.missing > 0);
    this.#answers.set(socket, response);
    const onClose = () => {
      connection.close();
      this.#answers.delete(socket);
      this.#forget(connection);
    };
    socket.once("close", onClose);
    response.once("finish", () => {
      response.detachSocket(socket);
      if (!response.shouldKeepAlive || this.#closing) return this.#linger(socket, connection.missing);
      socket.off("close", onClose);
      this.#answers.delete(socket);
      // The connection itself stays open.
      socket.destroy();
      void this.#park(connection);
    });
    return response;
  }

  /**
   * Takes no more connections, waits for the requests under way, and cuts off those that take too long. Each connection
   * ends with its answer, so that no client sends another request that would be cut off.
   */
  async close(patienceMs: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const connection of this.#parked) connection.abort();
    for (const [socket, response] of this.#answers) {
      // Only the rest of a body, which is thrown away, would still come.
      if (response?.writableFinished) socket.destroy();
      else if (response) response.shouldKeepAlive = false;
    }
    const silent = setTimeout(() => {
      for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy();
    }, FIRST_REQUEST_MS);
    const timer = setTimeout(() => {
      for (const connection of this.#lent) connection.abort();
      for (const socket of this.#open) socket.destroy();
    }, patienceMs);
    await closed;
    if (this.#open.size + this.#lent.size > 0)
      await new Promise<void>((resolve) => {
        this.#onAllClosed = resolve;
      });
    clearTimeout(silent);
    clearTimeout(timer);
  }

  /**
   * Waits for the next request before the HTTP server sees the connection: to the server it is a new one, which it would
   * soon reproach with having said nothing.
   */
  async #park(connection: BodyConnection): Promise<void> {
    this.#parked.add(connection);
    const socket = await connection.next(KEEP_ALIVE_MS).catch(() => connection.close());
    this.#parked.delete(connection);
    if (socket) this.#server.emit("connection", socket);
    this.#forget(connection);
  }

  #follow(response: ServerResponse): void {
    const { req: request } = response;
    const { socket } = request;
    if (!this.#answers.has(socket)) socket.once("close", () => this.#answers.delete(socket));
    this.#answers.set(socket, response);
    if (this.#closing) response.shouldKeepAlive = false;
    const isNewest = () => this.#answers.get(socket) === response;
    const onOver = () => {
      if (isNewest()) this.#answers.set(socket, undefined);
    };
    response.once("close", () => {
      // Its head may have been sent before.
      if (this.#closing && isNewest()) socket.destroySoon();
      if (request.complete || socket.destroyed) onOver();
      else limitRest(socket, this.#least, request, onOver);
    });
  }

  #add(socket: Socket): void {
    this.#open.add(socket);
    this.#metrics?.connections(1);
    socket.once("close", () => {
      this.#open.delete(socket);
      this.#onGone();
    });
  }

  #forget(connection: BodyConnection): void {
    this.#lent.delete(connection);
    this.#onGone();
  }

  #onGone(): void {
    this.#metrics?.connections(-1);
    if (this.#open.size + this.#lent.size === 0) this.#onAllClosed?.();
  }

  /** Ends a connection; what its client may still send is read first, because an answer beside unread bytes is lost. */
  #linger(socket: Socket, missing: number): void {
    if (missing === 0) {
      socket.end(() => socket.destroy());
      return;
    }
    let left = missing;
    socket.on("data", (piece: Buffer) => {
      left -= piece.length;
      if (left <= 0) socket.destroy();
    });
    socket.on("end", () => socket.destroy());
    limitRest(socket, this.#least, socket);
    socket.end();
  }
}
