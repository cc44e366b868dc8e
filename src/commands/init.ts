import { formatLocation, parseLocation } from "../backend/location.js";
import type { RetryEvent } from "../backend/retry-backend.js";
import { loadEngine } from "../engine/load-engine.js";
import { Repository } from "../repository/repository.js";
import { openRepositoryBackend, openSession, type RepositoryOptions } from "./session.js";

export interface InitOptions {
  readonly repository: RepositoryOptions;
  /** 2 when left out. */
  readonly version?: 1 | 2;
  /** A repository whose chunker polynomial the new one shares, so that copies between them deduplicate. */
  readonly copyChunkerFrom?: RepositoryOptions;
}

export interface InitResult {
  /** 64 hex digits. */
  readonly id: string;
  /** For people, without any password. */
  readonly location: string;
}

export interface InitWatch {
  readonly signal?: AbortSignal;
  readonly onRetry?: (event: RetryEvent) => void;
}

/**
 * Makes an empty repository.
 *
 * @throws {YoreError} if there is one already, or anything that looks like one
 */
export async function runInit(options: InitOptions, watch: InitWatch = {}): Promise<InitResult> {
  const chunkerPolynomial = options.copyChunkerFrom && (await polynomialOf(options.copyChunkerFrom, watch));
  const location = parseLocation(options.repository.location);
  const backend = await openRepositoryBackend(options.repository, watch);
  try {
    const repository = await Repository.create(backend, await loadEngine(), {
      password: await options.repository.password.ask(0),
      allowEmptyPassword: options.repository.password.allowEmpty,
      version: options.version ?? 2,
      chunkerPolynomial,
    });
    await repository.close();
    return { id: repository.config.id, location: formatLocation(location) };
  } finally {
    await backend.close();
  }
}

async function polynomialOf(source: RepositoryOptions, { signal, onRetry }: InitWatch): Promise<bigint> {
  const session = await openSession(source, {
    lock: "none",
    ...(signal && { signal }),
    on: (event) => (event.type === "retrying" || event.type === "recovered") && onRetry?.(event),
  });
  try {
    return session.repository.config.chunkerPolynomial;
  } finally {
    await session.close();
  }
}
