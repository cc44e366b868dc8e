/** Lock files: who uses the repository since when, and whether alone. */

import { goJsonObject } from "./go-json.js";
import { JsonFields } from "./json-fields.js";
import { formatTimestamp, type Timestamp } from "./timestamp.js";

export interface LockFile {
  /** When the lock was made or refreshed last. */
  readonly time: Timestamp;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const MAX_UINT32 = 0xffff_ffff;

/** @throws {FormatError} if it is not JSON, has no time, or a field is of the wrong kind */
export function decodeLockFile(json: Uint8Array): LockFile {
  const fields = JsonFields.parse("lock", json);
  return {
    time: fields.requiredTime("time"),
    exclusive: fields.flag("exclusive"),
    hostname: fields.text("hostname"),
    username: fields.text("username"),
    pid: fields.count("pid"),
    uid: fields.count("uid", MAX_UINT32),
    gid: fields.count("gid", MAX_UINT32),
  };
}

/** The JSON of a lock file, as restic writes it. */
export function encodeLockFile(lock: LockFile): Buffer {
  const json = goJsonObject([
    ["time", formatTimestamp(lock.time)],
    ["exclusive", lock.exclusive],
    ["hostname", lock.hostname],
    ["username", lock.username],
    ["pid", lock.pid],
    ["uid", lock.uid || undefined],
    ["gid", lock.gid || undefined],
  ]);
  return Buffer.from(json, "utf8");
}
