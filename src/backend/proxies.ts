import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";
import { UsageError } from "../errors.js";
import type { HttpTarget } from "./http-client.js";
import {
  type Credentials,
  type RestUrl,
  tryParseUrl,
  withoutAnyPassword,
  withoutPassword,
} from "./rest-url.js";

/** What the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. */
export interface ProxyOptions {
  /** For http servers: a URL, or host and port. */
  readonly http?: string | undefined;
  /** For https servers. */
  readonly https?: string | undefined;
  /** Servers that are reached without: names, addresses and CIDRs, with or without a port, between commas; `*` is all. */
  readonly none?: string | undefined;
}

export interface ProxyServer {
  readonly protocol: "http:" | "https:" | "socks5:";
  readonly hostname: string;
  readonly port: string;
  readonly credentials: Credentials | undefined;
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
  for({ protocol, socketPath, hostname, port }: HttpTarget): ProxyServer | undefined {
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

function parseProxy(text: string): ProxyServer {
  const url = text.includes("://") ? text : `http://${text}`;
  const parsed = /^socks5h?:/i.test(url) ? tryParseSocks(url) : tryParseHttp(url);
  if (typeof parsed === "string")
    throw new UsageError(`Cannot use proxy "${withoutAnyPassword(url)}": ${parsed}`);
  return { ...parsed, shown: withoutPassword(url) };
}

type Parsed = Omit<ProxyServer, "shown"> | string;

function tryParseHttp(url: string): Parsed {
  if (!/^https?:/i.test(url)) return "expected an http, https, socks5 or socks5h URL";
  const parsed = tryParseAny(url);
  if (typeof parsed === "string") return parsed;
  const { target, credentials } = parsed;
  return { protocol: target.protocol, hostname: target.hostname, port: portOf(target), credentials };
}

/** The server's name is always looked up by the proxy, which is what the h stands for elsewhere: restic does so, too. */
function tryParseSocks(url: string): Parsed {
  const parsed = tryParseAny(url.replace(/^\w+/, "http"));
  if (typeof parsed === "string") return parsed;
  const { target, credentials } = parsed;
  if (credentials && !isForSocks(credentials))
    return "expected a user of 1 to 255 bytes, and a password of at most 255";
  // A port of 80 is not in the parsed URL, where it goes without saying.
  const port = /^[^/]*\/\/[^/]*:(\d+)(?:\/|$)/.exec(url)?.[1] ?? "1080";
  return { protocol: "socks5:", hostname: target.hostname, port, credentials };
}

/** For which one byte says how long they are. */
function isForSocks({ user, password }: Credentials): boolean {
  return user.length > 0 && user.length <= 255 && password.length <= 255;
}

function tryParseAny(url: string): RestUrl | string {
  return tryParseUrl(/:\/\/.*\//.test(url) ? url : `${url}/`);
}

function portOf({ protocol, port }: Pick<HttpTarget, "protocol" | "port">): string {
  return port || (protocol === "https:" ? "443" : "80");
}
