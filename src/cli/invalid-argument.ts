import { UsageError } from "../errors.js";

/**
 * A value that makes no sense, in restic's words.
 *
 * @param where the flag that had it, such as "--latest", or the variable, such as "YORE_PACK_SIZE"
 */
export function invalidArgument(where: string, text: string, reason: string): UsageError {
  const place = where.startsWith("-") ? `"${where}" flag` : `$${where}`;
  return new UsageError(`invalid argument "${text}" for ${place}: ${reason}`);
}
