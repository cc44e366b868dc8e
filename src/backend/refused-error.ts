import { YoreError } from "../errors.js";

/** The store has understood what was asked and said no: it would say no again, so nobody tries again. */
export class RefusedError extends YoreError {
  constructor(message: string, options?: { cause?: unknown; hint?: string }) {
    super("backend", message, options);
  }
}
