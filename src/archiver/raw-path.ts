import { bytesOfText, textForPeople } from "../bytes/utf8.js";
import { pathText } from "../patterns/mod.js";

/**
 * A raw path is the bytes of a path as a Latin-1 string, one character a byte. File names are bytes; kept
 * like this they can be cut, joined, compared (in byte order) and used as keys like any string, and nothing
 * is lost on the way to the system calls. It must never be shown: `displayPath` makes the text for people.
 */
declare const rawBrand: unique symbol;
export type RawPath = string & { readonly [rawBrand]: true };

/** @param path text may keep bytes (`textKeepingBytes`) */
export function rawPath(path: string | Uint8Array): RawPath {
  const bytes = typeof path === "string" ? bytesOfText(path) : path;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as RawPath;
}

export function pathBuffer(path: RawPath): Buffer {
  return Buffer.from(path, "latin1");
}

/** For people and JSON: UTF-8, with U+FFFD for what is none. */
export function displayPath(path: RawPath): string {
  return isAscii(path) ? path : textForPeople(pathBuffer(path));
}

/** For patterns, which tell any two names apart (`pathText`). */
export function matchablePath(path: RawPath): string {
  return isAscii(path) ? path : pathText(pathBuffer(path));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

export function joinRaw(parent: string, name: string): RawPath {
  return (parent.endsWith("/") ? parent + name : `${parent}/${name}`) as RawPath;
}

/** Go's `filepath.Clean`: the shortest equal path by text alone; "." for nothing. */
export function cleanRaw(path: string): RawPath {
  const rooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!rooted) kept.push("..");
  }
  const joined = kept.join("/");
  return (rooted ? `/${joined}` : joined || ".") as RawPath;
}

/** Makes a path absolute, seen from a folder, and clean. */
export function absoluteRaw(path: string, folder: RawPath): RawPath {
  return cleanRaw(path.startsWith("/") ? path : `${folder}/${path}`);
}

/** All of a clean absolute path but its last component; "/" for "/". */
export function parentRaw(path: string): RawPath {
  const slash = path.lastIndexOf("/");
  return (slash <= 0 ? "/" : path.slice(0, slash)) as RawPath;
}

export function baseRaw(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
