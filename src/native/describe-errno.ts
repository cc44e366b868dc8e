import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { unnamedError } from "../errors.js";

let systemErrors: Map<number, [string, string]> | undefined;

/** Code ("ENOSPC") and words of an errno, which is positive; `undefined` for one that is not known. */
export function describeErrno(errno: number): readonly [code: string, words: string] | undefined {
  // Node.js makes a new map of hundreds each time it is asked.
  systemErrors ??= getSystemErrorMap();
  // Of files too, Node.js says that it is not supported "on socket".
  if (errno === constants.errno.ENOTSUP) return ["ENOTSUP", "operation not supported"];
  return systemErrors.get(-errno) ?? unnamedError(errno);
}
