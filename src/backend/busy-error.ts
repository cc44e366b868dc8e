import { YoreError } from "../errors.js";

/** The store is there, but asks to be left alone for a while. */
export class BusyError extends YoreError {
  /** How long, milliseconds. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super("backend", message);
    this.retryAfterMs = retryAfterMs;
  }
}
