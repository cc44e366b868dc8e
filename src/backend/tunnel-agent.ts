import { type ClientRequest, request as httpRequest } from "node:http";
import { Agent, type AgentOptions, request as httpsRequest, type RequestOptions } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { YoreError } from "../errors.js";
import type { HttpProxy } from "./proxies.js";
import { RefusedError } from "./refused-error.js";

export interface TunnelOptions extends AgentOptions {
  readonly userAgent: string;
  /** How long the proxy may take, milliseconds. */
  readonly connectTimeoutMs: number;
}

/**
 * Connections to https servers by way of a proxy, which is asked to CONNECT and sees nothing of what goes through. They
 * are kept and used again like those of any other agent.
 */
export class TunnelAgent extends Agent {
  readonly #proxy: HttpProxy;
  readonly #options: TunnelOptions;
  readonly #connecting = new Set<ClientRequest>();

  constructor(proxy: HttpProxy, options: TunnelOptions) {
    super(options);
    this.#proxy = proxy;
    this.#options = options;
  }

  override createConnection(
    options: RequestOptions,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#connect(`${isIP(options.host!) === 6 ? `[${options.host}]` : options.host}:${options.port}`).then(
      (socket) => callback(null, super.createConnection({ ...options, socket } as RequestOptions)!),
      // An agent takes no stream together with an error.
      (error: Error) => callback(error, undefined as never),
    );
  }

  override destroy(): void {
    for (const request of this.#connecting) request.destroy();
    super.destroy();
  }

  #connect(authority: string): Promise<Duplex> {
    const request = this.#ask(authority);
    this.#connecting.add(request);
    return new Promise((resolve, reject) => {
      request.on("connect", ({ statusCode }, socket) => {
        if (statusCode === 200) return resolve(socket.setTimeout(0));
        socket.destroy();
        reject(proxyFailure(statusCode!));
      });
      request.on("timeout", () => request.destroy(new YoreError("timeout", "it opens no way to the server")));
      request.on("error", reject);
      request.on("close", () => this.#connecting.delete(request));
      request.end();
    });
  }

  #ask(authority: string): ClientRequest {
    const { protocol, hostname, port, authorization } = this.#proxy;
    const { userAgent, connectTimeoutMs, ca, cert, key, rejectUnauthorized } = this.#options;
    return (protocol === "https:" ? httpsRequest : httpRequest)({
      ...{ ca, cert, key, rejectUnauthorized, servername: serverNameOf(hostname) },
      agent: false,
      timeout: connectTimeoutMs,
      method: "CONNECT",
      hostname,
      port,
      path: authority,
      headers: {
        host: authority,
        "user-agent": userAgent,
        ...(authorization !== undefined && { "proxy-authorization": authorization }),
      },
    });
  }
}

/** TLS knows servers by their names only. */
export function serverNameOf(hostname: string): string {
  return isIP(hostname) === 0 ? hostname : "";
}

/** What a proxy means by a status of its own. */
export function proxyFailure(status: number): YoreError {
  const message = `it answered ${status}`;
  if (status === 407)
    return new RefusedError(message, { hint: "Put user and password of the proxy into its URL" });
  return status === 403 ? new RefusedError(message) : new YoreError("backend", message);
}
