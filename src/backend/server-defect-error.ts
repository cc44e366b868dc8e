import { RefusedError } from "./refused-error.js";

/** The server did what none should do, and would do it again; it says nothing about the files that it has. */
export class ServerDefectError extends RefusedError {
  constructor(message: string) {
    super(message, { hint: "That is a defect of the server, or of what is in front of it" });
  }
}
