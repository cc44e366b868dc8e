export type Settled<T> = { readonly value: T } | { readonly error: unknown };

/** Turns a promise into one that never rejects, so that it can wait for its turn. */
export function settle<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}
