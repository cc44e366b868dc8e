import { getSystemErrorMap } from "node:util";

let systemErrors: Map<number, [string, string]> | undefined;

/** Code ("ENOSPC") and words of an errno, which is positive; `undefined` for one that is not known. */
export function describeErrno(errno: number): readonly [code: string, words: string] | undefined {
  // Node.js makes a new map of hundreds each time it is asked.
  systemErrors ??= getSystemErrorMap();
  return systemErrors.get(-errno);
}
