import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";
import { UsageError } from "../errors.js";
import type { HttpTarget } from "./http-client.js";
import { tryParseUrl, withoutAnyPassword, withoutPassword } from "./rest-url.js";

/** What the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. */
export interface ProxyOptions {
  /** For http servers: a URL, or host and port. */
  readonly http?: string | undefined;
  /** For https servers. */
  readonly https?: string | undefined;
  /** Servers that are reached without: names, addresses and CIDRs, with or without a port, between commas; `*` is all. */
  readonly none?: string | undefined;
}

export interface HttpProxy {
  readonly protocol: "http:" | "https:";
  readonly hostname: string;
  readonly port: string;
  /** Of the `HttpProxy-Authorization` header. */
  readonly authorization: string | undefined;
  /** The URL without its password. */
  readonly shown: string;
}

type Rule = (host: string, port: string) => boolean;

/** Which proxy leads to a server: the rules of Go's `httpproxy`, so that restic and yore go the same way. */
export class Proxies {
  readonly #options: ProxyOptions;
  readonly #exceptions: readonly Rule[];

  constructor(options: ProxyOptions = {}) {
    this.#options = options;
    const entries = (options.none ?? "").split(",").map((entry) => entry.trim().toLowerCase());
    this.#exceptions = entries.filter((entry) => entry !== "").map(parseRule);
  }

  /** @throws {UsageError} when it cannot be used: the way past it may be what must not be taken */
  for({ protocol, socketPath, hostname, port }: HttpTarget): HttpProxy | undefined {
    const text = protocol === "https:" ? this.#options.https : this.#options.http;
    if (!text || socketPath !== undefined) return undefined;
    const host = hostname.replace(/%.*$/, "");
    const at = portOf({ protocol, port });
    const isException = isLoopback(host) || this.#exceptions.some((matches) => matches(host, at));
    return isException ? undefined : parseProxy(text);
  }
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

function isLoopback(host: string): boolean {
  return host === "localhost" || contains(LOOPBACK, host);
}

function contains(addresses: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && addresses.check(host, version === 6 ? "ipv6" : "ipv4");
}

/** Of an entry of `NO_PROXY`. A name stands for all below it as well; with `.` or `*.` before it, for those alone. */
function parseRule(entry: string): Rule {
  if (entry === "*") return () => true;
  const [, bracketed, host = bracketed ?? entry, port] =
    /^(?:\[(.+)\]|([^:]+))(?::(\d*))?$/.exec(entry) ?? [];
  const addresses = parseAddresses(host);
  const suffix = domainToASCII(host.replace(/^\*?\./, "")) || host;
  const matchesHost: (asked: string) => boolean = addresses
    ? (asked) => contains(addresses, asked)
    : (asked) => asked.endsWith(`.${suffix}`) || (asked === suffix && !/^\*?\./.test(host));
  return (asked, at) => matchesHost(asked) && (!port || port === at);
}

/** An address or a CIDR; `undefined` for a name. */
function parseAddresses(text: string): BlockList | undefined {
  const [address = "", bits] = text.split("/");
  const version = isIP(address);
  if (version === 0) return undefined;
  const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
  const addresses = new BlockList();
  if (Number.isInteger(prefix) && prefix >= 0 && prefix <= (version === 6 ? 128 : 32))
    addresses.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
  return addresses;
}

function parseProxy(text: string): HttpProxy {
  const url = text.includes("://") ? text : `http://${text}`;
  const parsed = tryParseProxyUrl(url);
  if (typeof parsed === "string")
    throw new UsageError(`Cannot use proxy "${withoutAnyPassword(url)}": ${parsed}`);
  const { target, credentials } = parsed;
  return {
    protocol: target.protocol,
    hostname: target.hostname,
    port: portOf(target),
    authorization: credentials && `Basic ${credentials.toString("base64")}`,
    shown: withoutPassword(url),
  };
}

function tryParseProxyUrl(url: string): ReturnType<typeof tryParseUrl> {
  if (/^socks/i.test(url)) return "SOCKS is not supported yet";
  if (!/^https?:/i.test(url)) return "expected an http or https URL";
  return tryParseUrl(/:\/\/.*\//.test(url) ? url : `${url}/`);
}

function portOf({ protocol, port }: Pick<HttpTarget, "protocol" | "port">): string {
  return port || (protocol === "https:" ? "443" : "80");
}
