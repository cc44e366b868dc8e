import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type RequestOptions,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { createSecureContext } from "node:tls";
import { messageOf, UsageError } from "../errors.js";
import { ConnectTunnels, serverNameOf } from "./connect-tunnels.js";
import type { ByteRange, HttpOptions, HttpRequest, HttpTarget } from "./http-client.js";
import { Proxies, type ProxyServer } from "./proxies.js";
import { authorityOf } from "./redirect.js";
import { basicAuthorization } from "./rest-url.js";
import { SocksTunnels } from "./socks-tunnels.js";
import { PlainTunnelAgent, TlsTunnelAgent, type Tunnels } from "./tunnel-agent.js";

/** How long a connection may take to come about. */
export const CONNECT_TIMEOUT_MS = 30_000;
/** Idle connections are closed before most servers do. */
const IDLE_MS = 90_000;

/** A request that was begun. */
export interface OpenRequest {
  readonly client: ClientRequest;
  readonly proxy: ProxyServer | undefined;
}

/** The connections of a client, kept for its next requests, and which of them a request takes. */
export class HttpConnections {
  readonly #userAgent: string;
  readonly #tls: TlsOptions;
  readonly #proxies: Proxies;
  readonly #http = new HttpAgent(KEPT);
  readonly #https: HttpsAgent;
  #plainTunnels: PlainTunnelAgent | undefined;
  #tlsTunnels: TlsTunnelAgent | undefined;

  /** @throws {UsageError} when a certificate file cannot be read */
  constructor(options: HttpOptions) {
    this.#userAgent = options.userAgent ?? "yore";
    this.#tls = tlsOptions(options);
    this.#proxies = new Proxies(options.proxies);
    this.#https = new HttpsAgent({ ...KEPT, ...this.#tls });
  }

  /** @throws {UsageError} when the server's proxy cannot be used */
  open({ method, url, headers, range, body }: HttpRequest): OpenRequest {
    const proxy = this.#proxies.for(url);
    const length = body?.reduce((sum, piece) => sum + piece.length, 0);
    const route = proxy ? this.#routeThrough(proxy, url) : this.#route(url);
    const client = (route.agent instanceof HttpsAgent ? httpsRequest : httpRequest)({
      ...route,
      method,
      headers: {
        ...headers,
        ...route.headers,
        ...(range && { range: formatRange(range) }),
        "accept-encoding": "identity",
        host: authorityOf(url),
        "user-agent": this.#userAgent,
        ...(length !== undefined && { "content-length": length }),
      },
    });
    return { client, proxy };
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
    this.#plainTunnels?.destroy();
    this.#tlsTunnels?.destroy();
  }

  #route({ protocol, socketPath, hostname, port, path }: HttpTarget): Route {
    const agent = protocol === "https:" ? this.#https : this.#http;
    return socketPath === undefined ? { agent, hostname, port, path } : { agent, socketPath, path };
  }

  /** An HTTP proxy is asked for the whole URL; all others, and those to servers that speak TLS, for a way through. */
  #routeThrough(proxy: ProxyServer, url: HttpTarget): Route {
    const { protocol, hostname, port, path } = url;
    // All servers of a protocol have the same proxy.
    if (protocol === "https:") {
      this.#tlsTunnels ??= new TlsTunnelAgent(this.#tunnelsOf(proxy), { ...KEPT, ...this.#tls });
      return { agent: this.#tlsTunnels, hostname, port, path };
    }
    if (proxy.protocol === "socks5:") {
      this.#plainTunnels ??= new PlainTunnelAgent(this.#tunnelsOf(proxy), KEPT);
      return { agent: this.#plainTunnels, hostname, port, path };
    }
    return {
      agent: proxy.protocol === "https:" ? this.#https : this.#http,
      hostname: proxy.hostname,
      port: proxy.port,
      servername: serverNameOf(proxy.hostname),
      path: `http://${authorityOf(url)}${path}`,
      headers: proxy.credentials ? { "proxy-authorization": basicAuthorization(proxy.credentials) } : {},
    };
  }

  #tunnelsOf(proxy: ProxyServer): Tunnels {
    if (proxy.protocol === "socks5:") return new SocksTunnels(proxy, CONNECT_TIMEOUT_MS);
    const more = { userAgent: this.#userAgent, connectTimeoutMs: CONNECT_TIMEOUT_MS };
    return new ConnectTunnels(proxy, { ...this.#tls, ...more });
  }
}

function formatRange({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${length === undefined ? "" : offset + length - 1}`;
}

const KEPT = { keepAlive: true, timeout: IDLE_MS, scheduling: "lifo" as const };

type Route = Pick<RequestOptions, "hostname" | "port" | "socketPath"> & {
  readonly agent: HttpAgent;
  readonly path: string;
  readonly servername?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

interface TlsOptions {
  ca?: Buffer[];
  cert?: Buffer;
  key?: Buffer;
  rejectUnauthorized?: boolean;
}

function tlsOptions(options: HttpOptions): TlsOptions {
  const { rootCertificates, clientCertificate, insecureTls } = options;
  const own =
    clientCertificate === undefined
      ? undefined
      : readPem(clientCertificate, (pem) => createSecureContext({ cert: pem, key: pem }));
  // Left to itself, TLS takes a file without a certificate for one that trusts nobody.
  const asRoot = (path: string) => readPem(path, (pem) => new X509Certificate(pem));
  return {
    ...(rootCertificates && rootCertificates.length > 0 && { ca: rootCertificates.map(asRoot) }),
    ...(own && { cert: own, key: own }),
    ...(insecureTls && { rejectUnauthorized: false }),
  };
}

/** @param check throws when the file is not what it should be */
function readPem(path: string, check: (pem: Buffer) => unknown): Buffer {
  try {
    const pem = readFileSync(path);
    check(pem);
    return pem;
  } catch (error) {
    throw new UsageError(`Cannot read certificate file "${path}": ${messageOf(error)}`, { cause: error });
  }
}
