/** Longer than this nothing else may wait: a key press, a request, a timer. */
const MAX_HOLD_MS = 12;

/**
 * Lets the event loop go on now and then during long work on the one thread there is. One belongs to one piece of
 * work; call `breathe` after each slice of it.
 */
export class Breather {
  #since = performance.now();

  async breathe(): Promise<void> {
    if (performance.now() - this.#since < MAX_HOLD_MS) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.#since = performance.now();
  }
}
