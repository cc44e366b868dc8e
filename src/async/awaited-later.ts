/**
 * A promise that somebody will await, but perhaps only after it has failed, or never, when something else fails before:
 * until then its failure is not an unhandled one, which would end the process.
 */
export function awaitedLater<P extends Promise<unknown>>(promise: P): P {
  promise.catch(() => {});
  return promise;
}
