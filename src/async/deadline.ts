import { interruptedError, YoreError } from "../errors.js";

/**
 * Waits for a promise, but not longer than `timeoutMs`. The work itself goes on; whoever waits is let go.
 *
 * @throws {YoreError} with code `timeout`, saying what took too long
 */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new YoreError("timeout", `Cannot ${what}: no answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    timer.unref();
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for a promise until the signal fires. The work itself goes on; whoever waits is let go.
 *
 * @throws {YoreError} with code `interrupted`
 */
export async function untilInterrupted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  let onAbort = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    onAbort = () => reject(interruptedError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits so many milliseconds. @throws {YoreError} with code `interrupted` as soon as the signal fires */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(interruptedError(signal));
    const onAbort = () => {
      clearTimeout(timer);
      reject(interruptedError(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
