import type { ClientRequest, IncomingMessage } from "node:http";
import { awaitedLater } from "../async/awaited-later.js";
import type { TokenBucket } from "../async/token-bucket.js";
import { interruptedError, systemCodeOf, throwIfAborted, YoreError } from "../errors.js";
import { proxyFailure } from "./connect-tunnels.js";
import { CONNECTION_CLOSED, exchangeFailure } from "./exchange-failure.js";
import { CONNECT_TIMEOUT_MS, HttpConnections, type OpenRequest } from "./http-connections.js";
import type { ProxyOptions, ProxyServer } from "./proxies.js";
import { redirect } from "./redirect.js";
import { RefusedError } from "./refused-error.js";
import { ServerDefectError } from "./server-defect-error.js";

/** How the stores behind HTTP are reached. */
export interface HttpOptions {
  /** PEM files of root certificates; they replace the system's. */
  readonly rootCertificates?: readonly string[] | undefined;
  /** PEM file with a client certificate and its key. */
  readonly clientCertificate?: string | undefined;
  /** Do not verify the server's certificate. */
  readonly insecureTls?: boolean | undefined;
  readonly userAgent?: string | undefined;
  readonly proxies?: ProxyOptions | undefined;
  /** A request that moves no byte for so long is given up, milliseconds; 5 minutes when left out. */
  readonly stuckRequestMs?: number | undefined;
  /** Bytes of bodies, of all clients that share the bucket together. */
  readonly uploadRate?: TokenBucket | undefined;
  readonly downloadRate?: TokenBucket | undefined;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  readonly url: HttpTarget;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is asked for, of a larger whole. Of the whole, which a server may send instead, no more is read than up to its end. */
  readonly range?: ByteRange | undefined;
  /** Sent with its length. */
  readonly body?: readonly Uint8Array[] | undefined;
  /**
   * What is asked for has no more bytes; an answer that has is an error. When left out, only whether it was done matters,
   * and of what the server says besides, as of a failure, the beginning is read.
   */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a request goes. */
export interface HttpTarget {
  readonly protocol: "http:" | "https:";
  /** Of a unix socket, instead of host and port. */
  readonly socketPath?: string | undefined;
  readonly hostname: string;
  readonly port: string;
  /** Encoded, with a slash in front. */
  readonly path: string;
}

export interface ByteRange {
  readonly offset: number;
  /** Bytes, at least one; to the end when left out. */
  readonly length?: number | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** When the status is 200, no more than the range that was asked for. */
  readonly body: Buffer;
  /** Of all that was sent. */
  readonly beginning: Buffer;
}

const STUCK_REQUEST_MS = 5 * 60_000;
const MAX_WORDS_BYTES = 64 * 1024;
const BEGINNING_BYTES = 200;
/** After so many connections that were closed while idle, a request fails like any other. */
const MAX_STALE = 5;
const MAX_REDIRECTS = 10;
/** What is written at a time, so that progress shows and a rate can hold. */
const WRITE_BYTES = 128 * 1024;

/**
 * HTTP/1.1 with connections that are kept. Each call is one request, and those that its redirects ask for; only what met
 * a connection that the server had closed meanwhile is sent again. Memory: the bodies of the requests under way.
 */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #connections: HttpConnections;
  #closed = false;

  /** @throws {UsageError} when a certificate file cannot be read */
  constructor(options: HttpOptions) {
    this.#options = options;
    this.#connections = new HttpConnections(options);
  }

  /**
   * @throws {YoreError} `backend` when no whole answer came, `timeout` when nothing moved for too long, `interrupted`
   * @throws {RefusedError} on a redirect that is not followed, on certificates, and on an answer that is too long
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let asked = request;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#sendOnce(asked);
      const next = redirect(asked, response);
      if (!next) return response;
      asked = next;
    }
    throw new RefusedError(`the server redirects again and again, ${MAX_REDIRECTS} times so far`);
  }

  /** What is under way fails. */
  close(): void {
    this.#closed = true;
    this.#connections.close();
  }

  async #sendOnce(request: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 0; ; attempt++) {
      throwIfAborted(request.signal);
      const open = this.#connections.open(request);
      try {
        return await new Exchange(request, this.#options, open).run();
      } catch (error) {
        // A connection that we have closed ourselves looks like one that the server has.
        if (this.#closed || attempt === MAX_STALE || !wasStale(open.client, error)) throw error;
      }
    }
  }
}

/** One request under way. */
class Exchange {
  readonly #request: HttpRequest;
  readonly #options: HttpOptions;
  readonly #client: ClientRequest;
  readonly #proxy: ProxyServer | undefined;
  readonly #stuckMs: number;
  /** What is said of a failure from now on. */
  #failed = "no answer";
  #timer: NodeJS.Timeout | undefined;
  /** Why this end did. */
  #givenUp: Error | undefined;
  #giveUp: (error: Error) => void = () => {};

  constructor(request: HttpRequest, options: HttpOptions, { client, proxy }: OpenRequest) {
    this.#request = request;
    this.#options = options;
    this.#client = client;
    this.#proxy = proxy;
    this.#stuckMs = options.stuckRequestMs ?? STUCK_REQUEST_MS;
  }

  async run(): Promise<HttpResponse> {
    const client = this.#client;
    const { signal, body } = this.#request;
    const onAbort = () => this.#giveUp(interruptedError(signal));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      // Whoever fails first is told; the other's failure is a consequence.
      const answered = awaitedLater(this.#answer());
      this.#moved(Math.min(this.#stuckMs, CONNECT_TIMEOUT_MS));
      const written = this.#write(body ?? []);
      written.catch((error: unknown) => client.destroy(error as Error));
      const answer = await answered;
      if (answer.status < 300) {
        // Cut off here, what is sent would count as saved.
        this.#failed = "the server did not take all that it said it had";
        await written;
        if (!client.writableEnded) throw this.#givenUp ?? new Error(CONNECTION_CLOSED);
      }
      return answer;
    } catch (error) {
      throw exchangeFailure(error, {
        what: this.#failed,
        proxy: this.#proxy?.shown,
        isFirst: !client.reusedSocket,
        hasClientCertificate: this.#options.clientCertificate !== undefined,
      });
    } finally {
      // A failure has come before the end of the body, which concerns nobody any more.
      if (!client.writableEnded) client.destroy();
      clearTimeout(this.#timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #write(body: readonly Uint8Array[]): Promise<void> {
    const client = this.#client;
    for (const piece of body) {
      for (let at = 0; at < piece.length; at += WRITE_BYTES) {
        const part = piece.subarray(at, at + WRITE_BYTES);
        await this.#options.uploadRate?.pass(part.length, this.#request.signal);
        // A failure that comes before the end of the body, or a broken connection, ends the writing.
        if (client.destroyed || client.writableEnded) return;
        await writePart(client, part);
        if (client.destroyed) return;
        this.#moved();
      }
    }
    client.end();
  }

  #answer(): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      // A request that still waits for a tunnel hears of its end only when that is there.
      this.#giveUp = (error) => {
        this.#givenUp = error;
        this.#client.destroy(error);
        reject(error);
      };
      this.#client.on("error", reject);
      this.#client.on("upgrade", ({ statusCode }, socket) => {
        socket.destroy();
        reject(new ServerDefectError(`the server answered ${statusCode}, to speak something else`));
      });
      let isAnswered = false;
      // Whoever waits for what was given up in silence would wait for ever, or for nothing any more.
      this.#client.on("close", () => isAnswered || reject(new Error(CONNECTION_CLOSED)));
      this.#client.on("response", (response) => {
        isAnswered = true;
        this.#moved();
        if (!this.#proxy || response.statusCode !== 407) this.#failed = "the answer broke off";
        this.#readBody(response).then(resolve, reject);
      });
    });
  }

  async #readBody(response: IncomingMessage): Promise<HttpResponse> {
    const { method, signal } = this.#request;
    const { from, wanted, maxBytes } = countedOf(response, this.#request);
    const length = Number(response.headers["content-length"] ?? Number.NaN);
    if (method !== "HEAD" && Math.min(length - from, wanted) > maxBytes) {
      // What nobody reads keeps its connection.
      response.destroy();
      throw tooLong(length, maxBytes);
    }
    const pieces: Buffer[] = [];
    let beginning: Buffer = Buffer.alloc(0);
    let at = 0;
    let bytes = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      this.#moved();
      const part = piece.subarray(Math.max(0, from - at), Math.max(0, from + wanted - at));
      if (at === 0) beginning = piece.subarray(0, BEGINNING_BYTES);
      at += piece.length;
      bytes += part.length;
      if (bytes > maxBytes) throw tooLong(bytes, maxBytes);
      if (part.length > 0) pieces.push(part);
      await this.#options.downloadRate?.pass(piece.length, signal);
      // What is left would have to be read before the connection could be used again.
      if (bytes === wanted && at !== length) break;
    }
    if (this.#proxy && response.statusCode === 407) throw proxyFailure(407);
    if (!response.complete && bytes < wanted) throw new Error(CONNECTION_CLOSED);
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes);
    return { status: response.statusCode!, headers: response.headers, body, beginning };
  }

  /** Starts the watch anew. */
  #moved(patienceMs = this.#stuckMs): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const seconds = Math.round(patienceMs / 1000);
      this.#giveUp(new YoreError("timeout", `no byte moved within ${seconds} s`));
    }, patienceMs);
    this.#timer.unref();
  }
}

/** Resolves when the kernel has it, or when nobody will ever take it. */
function writePart(client: ClientRequest, part: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      client.off("close", done);
      resolve();
    };
    client.once("close", done);
    client.write(part, done);
  });
}

/** The server has closed a connection that had been idle, just when it was used again. */
function wasStale(client: ClientRequest, error: unknown): boolean {
  return client.reusedSocket && ["ECONNRESET", "EPIPE"].includes(systemCodeOf(error) ?? "");
}

/** Which bytes of an answer's body count: those before them are passed over, those behind them not read. */
function countedOf({ statusCode }: IncomingMessage, { range, maxBytes }: HttpRequest) {
  const all = Number.POSITIVE_INFINITY;
  if (statusCode! >= 300 || maxBytes === undefined)
    return { from: 0, wanted: MAX_WORDS_BYTES, maxBytes: all };
  // The whole where a part was asked for.
  if (statusCode === 200 && range) return { from: range.offset, wanted: range.length ?? all, maxBytes };
  return { from: 0, wanted: all, maxBytes };
}

function tooLong(bytes: number, maxBytes: number): ServerDefectError {
  return new ServerDefectError(`the answer has ${bytes} bytes, expected at most ${maxBytes}`);
}
