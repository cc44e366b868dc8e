/**
 * Uses an answer: at once when it is there, so that an answer from memory costs no turn of the event loop, later when
 * it is a promise.
 *
 * @param otherwise what comes of a promise that is rejected
 */
export function when<T, R>(
  answer: T | Promise<T>,
  use: (value: T) => R | Promise<R>,
  otherwise?: (error: unknown) => R | Promise<R>,
): R | Promise<R> {
  return answer instanceof Promise ? answer.then(use, otherwise) : use(answer);
}
