import { type ClientRequest, request as httpRequest } from "node:http";
import { type AgentOptions, request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { YoreError } from "../errors.js";
import { CONNECTION_CLOSED } from "./exchange-failure.js";
import type { ProxyServer } from "./proxies.js";
import { RefusedError } from "./refused-error.js";
import { basicAuthorization } from "./rest-url.js";
import type { Tunnels } from "./tunnel-agent.js";

export interface ConnectOptions extends Pick<AgentOptions, "ca" | "cert" | "key" | "rejectUnauthorized"> {
  readonly userAgent: string;
  /** How long the proxy may take, milliseconds. */
  readonly connectTimeoutMs: number;
}

/** Ways through an HTTP proxy, which is asked to CONNECT. */
export class ConnectTunnels implements Tunnels {
  readonly #proxy: ProxyServer;
  readonly #options: ConnectOptions;
  readonly #opening = new Set<ClientRequest>();

  constructor(proxy: ProxyServer, options: ConnectOptions) {
    this.#proxy = proxy;
    this.#options = options;
  }

  open(host: string, port: number): Promise<Duplex> {
    const request = this.#ask(`${isIP(host) === 6 ? `[${host}]` : host}:${port}`);
    this.#opening.add(request);
    return new Promise((resolve, reject) => {
      request.on("connect", ({ statusCode }, socket) => {
        if (statusCode === 200) return resolve(socket.setTimeout(0));
        socket.destroy();
        reject(proxyFailure(statusCode!));
      });
      request.on("timeout", () => request.destroy(new YoreError("timeout", "it opens no way to the server")));
      request.on("error", reject);
      request.on("close", () => {
        this.#opening.delete(request);
        reject(new YoreError("backend", CONNECTION_CLOSED));
      });
      request.end();
    });
  }

  close(): void {
    for (const request of this.#opening) request.destroy();
  }

  #ask(authority: string): ClientRequest {
    const { protocol, hostname, port, credentials } = this.#proxy;
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
        ...(credentials && { "proxy-authorization": basicAuthorization(credentials) }),
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
