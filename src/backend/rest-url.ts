import { UsageError } from "../errors.js";
import type { HttpTarget } from "./http-client.js";

/** The repository of a REST server, as its URL has it. */
export interface RestUrl {
  readonly target: HttpTarget;
  /** `undefined` where the URL names neither. */
  readonly credentials: Credentials | undefined;
}

/** Bytes, not text: what is escaped in a URL need not be UTF-8. */
export interface Credentials {
  readonly user: Buffer;
  readonly password: Buffer;
}

const URL_PARTS =
  /^(?<scheme>https?|http\+unix):\/\/(?:(?<userinfo>[^/?#]*)@)?(?<host>[^/?#@]*)(?<path>\/[^?#]*)$/i;
const NO_ESCAPE = /%(?![0-9a-f]{2})/i;

/**
 * Parses `http[s]://[user[:password]@]host[:port]/path/` and `http+unix://[user[:password]@]/path/of/socket:/path/`.
 *
 * @throws {UsageError} with a message that shows no password
 */
export function parseRestUrl(url: string): RestUrl {
  const parsed = tryParseUrl(url);
  if (typeof parsed === "string") throw badRestUrl(url, parsed);
  return parsed;
}

/**
 * Stricter than `URL`, as restic is: where that guesses, it may take a password for a part of the host or the path.
 *
 * @returns what is wrong, where it is no URL of a server
 */
export function tryParseUrl(url: string): RestUrl | string {
  const match = URL_PARTS.exec(url);
  if (!match?.groups) return whyNoUrl(url);
  const { scheme, userinfo, host, path } = match.groups;
  // `URL` leaves out some of them and takes what is no escape as it is: another path than the one that was named.
  if (/\p{Cc}/u.test(url)) return "it has a control character";
  if (NO_ESCAPE.test(path!)) return "the path has an invalid URL escape; write % as %25";
  const isUnix = scheme!.toLowerCase() === "http+unix";
  const target = isUnix ? unixTarget(host!, path!) : tcpTarget(scheme!, host!, path!);
  if (typeof target === "string") return target;
  if (!userinfo) return { target, credentials: undefined };
  if (NO_ESCAPE.test(userinfo)) return "the user or the password has an invalid URL escape; write % as %25";
  const [, user, password = ""] = /^([^:]*)(?::(.*))?$/s.exec(userinfo)!;
  return { target, credentials: { user: percentDecode(user!), password: percentDecode(password) } };
}

/** What an `Authorization` header says of them. */
export function basicAuthorization({ user, password }: Credentials): string {
  return `Basic ${Buffer.concat([user, Buffer.from(":"), password]).toString("base64")}`;
}

/** A URL that was parsed, with `***` for its password. */
export function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^/:]*:)[^/]*@/, "$1***@");
}

/** What is no URL may have the password anywhere before its last `@`. */
export function withoutAnyPassword(noUrl: string): string {
  return noUrl.replace(/^([a-z0-9+]+:\/\/[^/:@]*:)?.*@/is, "$1***@");
}

export function badRestUrl(url: string, reason: string): UsageError {
  return new UsageError(`Cannot parse repository location "rest:${withoutAnyPassword(url)}": ${reason}`);
}

function whyNoUrl(url: string): string {
  if (!/^(?:https?|http\+unix):\/\//i.test(url)) return "expected an http, https or http+unix URL";
  if (/[?#]/.test(url)) return "it has a ? or #; write ? as %3F and # as %23";
  return "expected scheme://host:port/path";
}

/** The socket ends at the first colon, as with restic. A text says what is wrong. */
function unixTarget(host: string, whole: string): HttpTarget | string {
  const [, socketPath, path] = /^(\/[^:]+):?(\/.*)$/.exec(whole) ?? [];
  if (host !== "" || socketPath === undefined) return "expected http+unix:///path/of/socket:/path";
  return {
    protocol: "http:",
    socketPath: percentDecode(socketPath).toString(),
    hostname: "",
    port: "",
    path: new URL(`http://localhost${withoutBackslashes(path!)}`).pathname,
  };
}

/** A text says what is wrong. */
function tcpTarget(scheme: string, host: string, path: string): HttpTarget | string {
  if (host === "" || host.startsWith(":")) return "the host is missing";
  const port = /:([^:\]]*)$/.exec(host)?.[1] ?? "";
  if (!/^\d*$/.test(port) || Number(port) > 65_535) {
    const hint = path.includes("@") ? "; write a / of the password as %2F" : "";
    return `the port is not a number up to 65535${hint}`;
  }
  // `URL` knows no zones of link-local addresses: http://[fe80::1%25eth0]/.
  const [, zone = ""] = /^\[[^\]%]*%25([^\]]+)\]/.exec(host) ?? [];
  const text = `${scheme}://${zone === "" ? host : host.replace(`%25${zone}`, "")}${withoutBackslashes(path)}`;
  if (!URL.canParse(text)) return "the host is not valid";
  const parsed = new URL(text);
  const hostname = parsed.hostname.replace(/^\[|\]$/g, "");
  return {
    protocol: parsed.protocol === "https:" ? "https:" : "http:",
    hostname: zone === "" ? hostname : `${hostname}%${zone}`,
    port: parsed.port,
    path: parsed.pathname,
  };
}

/** `URL` takes them for slashes. */
function withoutBackslashes(path: string): string {
  return path.replaceAll("\\", "%5C");
}

function percentDecode(text: string): Buffer {
  const latin1 = Buffer.from(text).toString("latin1");
  const decoded = latin1.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, "latin1");
}
