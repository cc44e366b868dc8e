import type { HttpRequest, HttpResponse } from "./http-client.js";
import { RefusedError } from "./refused-error.js";
import { ServerDefectError } from "./server-defect-error.js";

const CONTENT_RANGE = /^bytes (?:(?<first>\d+)-(?<last>\d+)|\*)\/(?:(?<total>\d+)|\*)$/i;

/**
 * Sees to it that what comes with success is an answer to the request. What is not must be taken neither for "saved" nor for
 * the content of a file, which would count as damaged.
 *
 * @throws {RefusedError} naming what the server did
 */
export function checkAnswer({ range }: HttpRequest, response: HttpResponse): void {
  const { status, headers } = response;
  if (status >= 300) return;
  const encoding = headers["content-encoding"] ?? "identity";
  if (!/^(?:identity)?$/i.test(encoding))
    throw new ServerDefectError(`the server encoded its answer (${encoding}), which was not asked for`);
  // Login pages, and those that networks put in the place of everything.
  if (isPage(response)) {
    throw new RefusedError(`the server answered ${status} with a web page`, {
      hint: "Is there a REST server at this URL, and nothing in front of it that asks for a login?",
    });
  }
  if (status === 206) checkPart(headers, range?.offset ?? 0);
}

/** How long the whole is of which a range was asked for, where the server says so. */
export function totalOf({ status, headers }: HttpResponse): number | undefined {
  const total =
    status === 200
      ? headers["content-length"]
      : CONTENT_RANGE.exec(headers["content-range"] ?? "")?.groups?.["total"];
  return total === undefined ? undefined : Number(total);
}

/** Some servers guess types, or call everything HTML: alone that says nothing. */
function isPage({ headers, beginning }: HttpResponse): boolean {
  const isCalledSo = headers["content-type"]?.includes("html");
  return isCalledSo === true && /^\s*<(?:!doctype\s+html|html)\b/i.test(beginning.toString("latin1"));
}

/** Servers that do not say which part they send are taken to send the right one. */
function checkPart(headers: HttpResponse["headers"], offset: number): void {
  const type = headers["content-type"] ?? "";
  if (/^multipart\//i.test(type))
    throw new ServerDefectError(`the server answered one range with a list of them (${type})`);
  const { first, last } = CONTENT_RANGE.exec(headers["content-range"] ?? "")?.groups ?? {};
  if (first === undefined || Number(first) === offset) return;
  const message = `the server sent bytes ${first} to ${last}, where those from ${offset} on were asked for`;
  throw new ServerDefectError(message);
}
