import { TokenBucket } from "../async/token-bucket.js";
import { YoreError } from "../errors.js";
import type { Backend } from "./backend.js";
import { ConnectionLimitBackend } from "./connection-limit-backend.js";
import type { HttpOptions } from "./http-client.js";
import { LocalBackend } from "./local-backend.js";
import type { LocalReads } from "./local-reader.js";
import { formatLocation, type Location, parseLocation } from "./location.js";
import { RateLimitBackend } from "./rate-limit-backend.js";
import { RetryBackend, type RetryEvent } from "./retry-backend.js";

/** How the place is reached, whatever it is. */
export interface TransportOptions extends Omit<HttpOptions, "uploadRate" | "downloadRate"> {
  /** Bytes a second; no limit when left out. */
  readonly uploadRate?: number | undefined;
  readonly downloadRate?: number | undefined;
  /** For REST servers, where the URL names neither. */
  readonly restUsername?: string | undefined;
  readonly restPassword?: string | undefined;
}

export interface OpenBackendOptions {
  /** Operations under way at a time; the backend's own number when left out. */
  readonly connections?: number | undefined;
  readonly transport?: TransportOptions | undefined;
  /** Of this machine, for a repository in a folder. */
  readonly localReads?: LocalReads | undefined;
  /** See `RetryOptions`. */
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/**
 * Opens the place where a repository is, or will be: nothing is created and nothing checked yet. What is reached over a
 * network tries again, within the bounds of `RetryBackend`.
 *
 * @throws {UsageError} if the location cannot be parsed, or a certificate cannot be read
 * @throws {YoreError} with code `not-supported` for schemes that yore cannot speak yet
 */
export async function openBackend(
  location: string | Location,
  options: OpenBackendOptions = {},
): Promise<Backend> {
  const parsed = typeof location === "string" ? parseLocation(location) : location;
  const { connections, transport = {}, signal, onRetry } = options;
  const upload = bucketOf(transport.uploadRate);
  const download = bucketOf(transport.downloadRate);
  switch (parsed.scheme) {
    case "local": {
      const local = await LocalBackend.open(parsed.path, { connections, reads: options.localReads });
      return upload || download ? new RateLimitBackend(local, { upload, download }) : local;
    }
    case "rest": {
      // Most repositories are local, and to load HTTP takes Node.js 6 ms.
      const { RestBackend } = await import("./rest-backend.js");
      const rest = new RestBackend(parsed.url, {
        ...transport,
        connections,
        username: transport.restUsername,
        password: transport.restPassword,
        uploadRate: upload,
        downloadRate: download,
      });
      return new RetryBackend(new ConnectionLimitBackend(rest), { signal, ...(onRetry && { on: onRetry }) });
    }
    default:
      throw new YoreError(
        "not-supported",
        `Cannot open repository "${formatLocation(parsed)}": ${parsed.scheme} repositories are not supported yet`,
      );
  }
}

function bucketOf(rate: number | undefined): TokenBucket | undefined {
  return rate === undefined ? undefined : new TokenBucket(rate);
}
