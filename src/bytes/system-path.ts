/**
 * Paths of this machine as text that keeps their bytes (`textKeepingBytes`). Node.js puts U+FFFD for what is no UTF-8, both
 * where it hands out a path and where it takes one, which then is another.
 */

import { readlinkSync } from "node:fs";
import { resolve } from "node:path";
import { messageOf, YoreError } from "../errors.js";
import { bytesOfText, keepsBytes, textKeepingBytes } from "./utf8.js";

/** A path as the calls of Node.js have to be given it. */
export function systemPath(path: string): string | Buffer {
  return keepsBytes(path) ? bytesOfText(path) : path;
}

/** The path seen from the root, without "." and ".." in it. @throws {YoreError} see `workingFolder` */
export function absolutePath(path: string): string {
  return path.startsWith("/") ? resolve(path) : resolve(workingFolder(), path);
}

/** @throws {YoreError} `backend` if the folder's name is no UTF-8 and /proc, which has its bytes, is missing */
export function workingFolder(): string {
  const text = process.cwd();
  if (!text.includes("\ufffd")) return text;
  try {
    return textKeepingBytes(readlinkSync("/proc/self/cwd", "buffer"));
  } catch (cause) {
    throw new YoreError("backend", `Cannot tell the name of the working folder: ${messageOf(cause)}`, {
      cause,
      hint: `"${text}" stands for a name that is not UTF-8. Mount /proc, or work from another folder`,
    });
  }
}
