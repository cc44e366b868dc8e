import { YoreError } from "../errors.js";
import type { Backend } from "./backend.js";
import { LocalBackend } from "./local-backend.js";
import { formatLocation, type Location, parseLocation } from "./location.js";

export interface OpenBackendOptions {
  /** Operations under way at a time; the backend's own number when left out. */
  readonly connections?: number | undefined;
}

/**
 * Opens the place where a repository is, or will be: nothing is created and nothing checked yet.
 *
 * @throws {UsageError} if the location cannot be parsed
 * @throws {YoreError} with code `not-supported` for schemes that yore cannot speak yet
 */
export async function openBackend(
  location: string | Location,
  options: OpenBackendOptions = {},
): Promise<Backend> {
  const parsed = typeof location === "string" ? parseLocation(location) : location;
  if (parsed.scheme === "local") return LocalBackend.open(parsed.path, options);
  throw new YoreError(
    "not-supported",
    `Cannot open repository "${formatLocation(parsed)}": ${parsed.scheme} repositories are not supported yet`,
  );
}
