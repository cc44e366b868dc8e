import { bytesOfText, keepsBytes, textForPeople } from "../bytes/utf8.js";
import { UsageError } from "../errors.js";
import { badRestUrl, parseRestUrl, withoutPassword } from "./rest-url.js";

/**
 * Locations of repositories, in restic's grammar: a scheme before the first `:`, or a path. `formatLocation`
 * gives them back without any password; nothing else may be shown to people or written into logs.
 */
export type Location =
  | { readonly scheme: "local"; readonly path: string }
  | { readonly scheme: "rest"; readonly url: string }
  | {
      readonly scheme: "sftp";
      readonly user: string | undefined;
      readonly host: string;
      readonly port: number | undefined;
      /** Relative to the user's home unless it starts with `/`. */
      readonly path: string;
    }
  | {
      readonly scheme: "s3";
      readonly endpoint: string;
      readonly useHttp: boolean;
      readonly bucket: string;
      readonly prefix: string;
    }
  | {
      readonly scheme: "b2" | "azure" | "gs" | "swift";
      /** Bucket or container. */
      readonly bucket: string;
      readonly prefix: string;
    }
  | { readonly scheme: "rclone"; readonly remote: string };

/** @throws {UsageError} saying what is wrong with the text */
export function parseLocation(text: string): Location {
  const location = parseAny(text);
  if (location.scheme !== "local" && keepsBytes(text))
    throw badLocation(text, "it is not UTF-8, which only the path of a folder may be");
  return location;
}

function parseAny(text: string): Location {
  if (text === "") throw new UsageError("Cannot parse repository location: it is empty");
  const colon = text.indexOf(":");
  const scheme = colon < 0 ? "" : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (scheme) {
    case "local":
      return { scheme, path: requirePart(rest, text, "the path is missing") };
    case "rest":
      return parseRest(rest);
    case "sftp":
      return parseSftp(rest, text);
    case "s3":
      return parseS3(rest, text);
    case "b2":
    case "azure":
    case "gs":
    case "swift":
      return parseBucket(scheme, rest, text);
    case "rclone":
      return { scheme, remote: requirePart(rest, text, "the remote is missing") };
    default:
      if (colon < 0 || looksLikePath(text)) return { scheme: "local", path: text };
      throw new UsageError(
        `Cannot parse repository location "${withoutSecrets(text)}": unknown scheme "${scheme}"`,
        {
          hint: `For a folder with a colon in its name, write local:${withoutSecrets(text)}`,
        },
      );
  }
}

/** The location for people: any password is replaced by `***`. */
export function formatLocation(location: Location): string {
  switch (location.scheme) {
    case "local":
      return textForPeople(bytesOfText(location.path));
    case "rest":
      return `rest:${withoutPassword(location.url)}`;
    case "sftp": {
      const user = location.user === undefined ? "" : `${location.user}@`;
      if (location.port === undefined) return `sftp:${user}${location.host}:${location.path}`;
      return `sftp://${user}${location.host}:${location.port}/${location.path}`;
    }
    case "s3": {
      const parts = [location.endpoint, location.bucket, location.prefix].filter((part) => part !== "");
      return `s3:${location.useHttp ? "http://" : ""}${parts.join("/")}`;
    }
    case "rclone":
      return `rclone:${location.remote}`;
    default:
      return `${location.scheme}:${location.bucket}:/${location.prefix}`;
  }
}

function looksLikePath(text: string): boolean {
  return /^(?:[/\\]|\.\.?[/\\]|[A-Za-z]:[/\\])/.test(text);
}

function parseRest(text: string): Location {
  if (text === "") throw badRestUrl(text, "no URL after rest:");
  const url = text.endsWith("/") ? text : `${text}/`;
  parseRestUrl(url);
  return { scheme: "rest", url };
}

/** `[user@]host:path`, or `//[user@]host[:port]/path`, where a second slash makes the path absolute. */
function parseSftp(text: string, whole: string): Location {
  const match = text.startsWith("//")
    ? /^\/\/(?:(?<user>.+)@)?(?<host>\[[^\]]+\]|[^/:@]+)(?::(?<port>\d+))?\/(?<path>.*)$/s.exec(text)
    : /^(?:(?<user>[^:]+)@)?(?<host>\[[^\]]+\]|[^:@]+):(?<path>.*)$/s.exec(text);
  if (!match?.groups)
    throw badLocation(whole, "expected sftp:[user@]host:path or sftp://[user@]host[:port]/path");
  const { user, host, port, path } = match.groups;
  const clean = requirePart(path ?? "", whole, "the path is missing");
  if (clean.startsWith("~"))
    throw badLocation(whole, "a path that starts with ~ is not expanded; leave ~/ out");
  return {
    scheme: "sftp",
    user,
    host: host!,
    port: port === undefined ? undefined : Number(port),
    path: clean,
  };
}

/** `host[:port]/bucket[/prefix]`, with or without `//`, `http://` or `https://` before it. */
function parseS3(text: string, whole: string): Location {
  const match = /^(?:(https?:)?\/\/)?([^/]+)\/([^/]+)(?:\/(.*))?$/s.exec(text);
  if (!match) throw badLocation(whole, "expected s3:host/bucket or s3:host/bucket/prefix");
  return {
    scheme: "s3",
    endpoint: match[2]!,
    useHttp: match[1] === "http:",
    bucket: match[3]!,
    prefix: trimSlashes(match[4] ?? ""),
  };
}

function parseBucket(scheme: "b2" | "azure" | "gs" | "swift", text: string, whole: string): Location {
  const colon = text.indexOf(":");
  const bucket = colon < 0 ? text : text.slice(0, colon);
  if (colon < 0 && scheme !== "b2") throw badLocation(whole, `expected ${scheme}:name:/prefix`);
  const prefix = colon < 0 ? "" : trimSlashes(text.slice(colon + 1));
  return { scheme, bucket: requirePart(bucket, whole, "the name of the bucket is missing"), prefix };
}

function trimSlashes(text: string): string {
  return text.replace(/^\/+/, "").replace(/\/+$/, "");
}

function requirePart(part: string, whole: string, reason: string): string {
  if (part === "") throw badLocation(whole, reason);
  return part;
}

function badLocation(whole: string, reason: string): UsageError {
  return new UsageError(`Cannot parse repository location "${withoutSecrets(whole)}": ${reason}`);
}

/** What was not understood may have the password anywhere before its last `@`. */
function withoutSecrets(text: string): string {
  return text.replace(/(\/\/[^/:@]*:).*@/s, "$1***@");
}
