import { STATUS_CODES } from "node:http";
import { YoreError } from "../errors.js";
import { BusyError } from "./busy-error.js";
import type { HttpResponse } from "./http-client.js";
import { RefusedError } from "./refused-error.js";

/** What a server would say again however often it is asked: it is set up so, or speaks of something else. */
const REFUSALS = [401, 403, 404, 405, 406, 407, 410, 411, 413, 414, 415, 416, 431, 451, 501, 505, 511];

/**
 * What a status means that was not hoped for. What is not known to be a refusal is worth another try.
 *
 * @param what "Cannot save ..."
 * @param named whether a user or a password went along
 */
export function failureOf(response: HttpResponse, what: string, named: boolean): YoreError {
  const { status } = response;
  const message = `${what}: the server answered ${status}${wordsOf(response)}`;
  if (status === 507) return new YoreError("no-space", message, { hint: NO_SPACE_HINT });
  // One of success is not that of the protocol: whether it was done is not known.
  if (status < 400 || REFUSALS.includes(status) || isForTls(response)) {
    const hint = hintFor(status, named);
    return new RefusedError(message, hint === undefined ? {} : { hint });
  }
  const waitMs = retryAfterMs(response);
  if (waitMs === undefined) return new YoreError("backend", message);
  return new BusyError(`${message}, and asks to wait for ${Math.ceil(waitMs / 1000)} s`, waitMs);
}

const NO_SPACE_HINT =
  "Make space on the server, then run the same command again: what was saved is not sent again";

function hintFor(status: number, named: boolean): string | undefined {
  if (status === 401 && named) return "Check the user and the password: the server does not take these";
  if (status === 401)
    return "Put user and password into the URL, or set YORE_REST_USERNAME and YORE_REST_PASSWORD";
  if (status === 404 || status === 405) return "Is there a REST server at this URL?";
  if (status === 400) return "Write https:// in the URL: the server speaks nothing else";
  if (status === 413)
    return "Raise the limit of the server, or of what is in front of it (nginx: client_max_body_size)";
  return undefined;
}

/** A server that speaks TLS was asked without. What else is wrong with a request may have come about on the way. */
function isForTls({ status, body }: HttpResponse): boolean {
  return status === 400 && /\bhttps\b/i.test(body.toString("latin1"));
}

/** The server's own words; pages are for browsers. */
function wordsOf({ status, headers, body }: HttpResponse): string {
  const isPage = headers["content-type"]?.includes("html");
  const text = isPage ? "" : body.subarray(0, 200).toString("utf8");
  const words = text.replace(/\p{Cc}+/gu, " ").trim() || STATUS_CODES[status];
  return words === undefined ? "" : ` (${words})`;
}

/** `Retry-After` is a number of seconds or a date. */
function retryAfterMs({ headers }: HttpResponse): number | undefined {
  const text = headers["retry-after"] ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : undefined;
}
