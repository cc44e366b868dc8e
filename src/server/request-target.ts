import type { FileType, Handle } from "../backend/backend.js";
import { FOLDERS } from "../backend/local-layout.js";
import { MAX_NAME_BYTES } from "../bytes/file-name.js";
import { isHexId } from "../bytes/id.js";
import { DELETED_FOLDER } from "./deleted-files.js";

/**
 * What the path of a request names. A repository lies at most two folders below the data folder, and no folder may
 * bear the name of one of its own parts:
 *
 *     /[folder/[folder/]]                  the repository
 *     /[folder/[folder/]]config            its config
 *     /[folder/[folder/]]data/             all files of a type
 *     /[folder/[folder/]]data/<64 hex>     one of them
 *
 * A whole URL names the same as its path (RFC 9112 section 3.2.2).
 */
export type RequestTarget =
  | { readonly kind: "health" }
  | { readonly kind: "metrics" }
  | { readonly kind: "repository"; readonly repository: RepositoryPath }
  | { readonly kind: "list"; readonly repository: RepositoryPath; readonly type: ListedType }
  | { readonly kind: "file"; readonly repository: RepositoryPath; readonly handle: Handle };

/** Folders below the data folder, at most `MAX_FOLDER_DEPTH`, checked. */
export type RepositoryPath = readonly string[];

export type ListedType = Exclude<FileType, "config">;

export const MAX_FOLDER_DEPTH = 2;

const TYPE_OF_FOLDER = new Map(Object.entries(FOLDERS).map(([type, folder]) => [folder, type as ListedType]));

const PARTS: ReadonlySet<string> = new Set([...TYPE_OF_FOLDER.keys(), "config"]);

/** True for the names that a repository's folder is made of; no other folder may bear them. */
export function isRepositoryPart(name: string): boolean {
  return PARTS.has(name);
}

/** True for the names that no repository may bear: those of parts, and that of what is not shown. */
export function isReservedName(name: string): boolean {
  return PARTS.has(name) || name === DELETED_FOLDER;
}

/** True for what a request can name as a repository: "ada/laptop", or "" for the data folder itself. */
export function isRepositoryPath(path: string): boolean {
  const folders = path === "" ? [] : path.split("/");
  return (
    folders.length <= MAX_FOLDER_DEPTH && folders.every((name) => isFolderName(name) && !PARTS.has(name))
  );
}

/** @returns `undefined` for what names nothing: the answer is 404 whatever the reason */
export function parseRequestTarget(url: string): RequestTarget | undefined {
  const path = url.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0]!;
  if (!path.startsWith("/")) return undefined;
  if (path === "/healthz") return { kind: "health" };
  if (path === "/metrics") return { kind: "metrics" };
  const segments = decodeSegments(path.slice(1).split("/"));
  if (!segments) return undefined;

  const partAt = segments.findIndex((segment) => PARTS.has(segment));
  const folders = partAt < 0 ? segments.slice(0, -1) : segments.slice(0, partAt);
  if (folders.length > MAX_FOLDER_DEPTH || !folders.every(isFolderName)) return undefined;
  const rest = segments.slice(folders.length);
  if (partAt < 0) return rest[0] === "" ? { kind: "repository", repository: folders } : undefined;
  return parsePart(folders, rest);
}

function parsePart(repository: RepositoryPath, [part, name, ...more]: string[]): RequestTarget | undefined {
  if (more.length > 0) return undefined;
  if (part === "config") {
    return name === undefined
      ? { kind: "file", repository, handle: { type: "config", name: "" } }
      : undefined;
  }
  const type = TYPE_OF_FOLDER.get(part!)!;
  if (name === "") return { kind: "list", repository, type };
  if (name === undefined || !isHexId(name)) return undefined;
  return { kind: "file", repository, handle: { type, name } };
}

/** An encoded slash stays within its segment, where it is refused. */
function decodeSegments(segments: readonly string[]): string[] | undefined {
  try {
    return segments.map((segment) => decodeURIComponent(segment));
  } catch {
    return undefined;
  }
}

function isFolderName(name: string): boolean {
  if (name === "" || name === "." || name === ".." || name === DELETED_FOLDER) return false;
  return !/[/\\\p{Cc}]/u.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}
