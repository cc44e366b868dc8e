import type { HttpResponse } from "./http-client.js";
import { RefusedError } from "./refused-error.js";

/** Told with whatever no server should do; asking again would not help. */
export const SERVER_DEFECT_HINT = "That is a defect of the server, or of what is in front of it";

const CONTENT_RANGE = /^bytes (?:(?<first>\d+)-(?<last>\d+)|\*)\/(?:(?<total>\d+)|\*)$/i;

/**
 * Sees to it that a 206 holds what was asked for: from its first byte on and nothing else. Servers that do not say what
 * they send are taken at their word.
 *
 * @param what "Cannot load ..."
 * @throws {RefusedError} naming what the server did
 */
export function checkPartial({ headers }: HttpResponse, offset: number, what: string): void {
  const type = headers["content-type"] ?? "";
  if (/^multipart\//i.test(type)) {
    throw new RefusedError(`${what}: the server answered one range with a list of them (${type})`, {
      hint: SERVER_DEFECT_HINT,
    });
  }
  const { first, last } = CONTENT_RANGE.exec(headers["content-range"] ?? "")?.groups ?? {};
  if (first === undefined || Number(first) === offset) return;
  const message = `${what}: the server sent bytes ${first} to ${last}, where those from ${offset} on were asked for`;
  throw new RefusedError(message, { hint: SERVER_DEFECT_HINT });
}

/** How long the whole is of which a range was asked for, where the server says so. */
export function totalOf({ status, headers }: HttpResponse): number | undefined {
  if (status === 200)
    return headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
  const { total } = CONTENT_RANGE.exec(headers["content-range"] ?? "")?.groups ?? {};
  return total === undefined ? undefined : Number(total);
}
