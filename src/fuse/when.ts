import type { Answer } from "./filesystem.js";

/**
 * Uses an answer: at once when it is there, so that an answer from memory costs no turn of the event loop, later when
 * it is a promise.
 */
export function when<T, R>(answer: Answer<T>, use: (value: T) => Answer<R>): Answer<R> {
  return answer instanceof Promise ? answer.then(use) : use(answer);
}
