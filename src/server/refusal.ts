import { systemCodeOf, YoreError } from "../errors.js";

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

/** What the client is told about a failure: the system's words stay in the log. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  switch (systemCodeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new Refusal(507, "No space left on the server");
    case "ENOENT":
      return new Refusal(404, "Not found");
    default:
      return new Refusal(500, "Internal server error");
  }
}
