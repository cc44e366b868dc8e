import type { HttpRequest, HttpResponse, HttpTarget } from "./http-client.js";
import { RefusedError } from "./refused-error.js";

/** Where a response sends its request: what to send instead, `undefined` when it is the answer. */
export function redirect(request: HttpRequest, response: HttpResponse): HttpRequest | undefined {
  const { status, headers } = response;
  if (headers.location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined;
  const from = new URL(`${request.url.protocol}//${authorityOf(request.url)}${request.url.path}`);
  const to = URL.canParse(headers.location, from.href) ? new URL(headers.location, from.href) : undefined;
  const refusal = to ? whyNot(status, request.method, from, to) : "which is no URL";
  if (refusal !== undefined) {
    const shown = to ? `${to.protocol}//${to.host}${to.pathname}` : headers.location.replace(/.*@/s, "***@");
    throw new RefusedError(`the server answered ${status}, a redirect to "${shown}", ${refusal}`, {
      hint: "Name the repository by the address that it has now",
    });
  }
  return { ...request, url: targetOf(request.url, from, to!), headers: headersFor(request, from, to!) };
}

/** Of a URL, and of a `Host` header: the zone of an address concerns nobody but us. */
export function authorityOf({ socketPath, hostname, port }: HttpTarget): string {
  if (socketPath !== undefined) return "localhost";
  const host = hostname.includes(":") ? `[${hostname.replace(/%.*$/, "")}]` : hostname;
  return port === "" ? host : `${host}:${port}`;
}

function whyNot(status: number, method: HttpRequest["method"], from: URL, to: URL): string | undefined {
  if (!["http:", "https:"].includes(to.protocol)) return "which is not HTTP";
  if (from.protocol === "https:" && to.protocol === "http:") return "which is not encrypted";
  // Elsewhere it would become a GET, which is not what was asked.
  if (status < 307 && method !== "GET" && method !== "HEAD") return `where no ${method} is sent`;
  return undefined;
}

/** The same server keeps what its URL does not say: socket and zone. */
function targetOf(target: HttpTarget, from: URL, to: URL): HttpTarget {
  const path = `${to.pathname}${to.search}`;
  if (to.origin === from.origin) return { ...target, path };
  const protocol = to.protocol === "https:" ? "https:" : "http:";
  return { protocol, hostname: to.hostname.replace(/^\[|\]$/g, ""), port: to.port, path };
}

/** The password is for the host that it was given for; once left out, it stays out. */
function headersFor({ headers = {}, url }: HttpRequest, from: URL, to: URL): Record<string, string> {
  const sameHost = url.socketPath === undefined && to.hostname === from.hostname;
  if (sameHost || to.origin === from.origin) return headers;
  const { authorization: _, ...others } = headers;
  return others;
}
