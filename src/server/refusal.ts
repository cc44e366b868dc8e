import { YoreError } from "../errors.js";

/** A request that is answered with an error, and why. The text goes to the client: nothing secret in it. */
export class Refusal extends YoreError {
  /** HTTP status, 400 or more. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super("backend", text);
    this.status = status;
    this.headers = headers;
  }
}
