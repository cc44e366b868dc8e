import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { parse } from "smol-toml";
import { messageOf, YoreError } from "../errors.js";
import { ACCESS_MODES, type AccessMode, type Policy, type Rules } from "./policy.js";
import { isRepositoryPath } from "./request-target.js";

/**
 * The file that says who may do what, in TOML. All keys are optional:
 *
 *     mode = "append-only"            # everybody: full, append-only, read-only, write-only
 *     quota = "2T"                    # the whole data folder; b, k, m, g, t, base 1024
 *     upload-rate = "20M"             # bytes a second
 *     download-rate = "50M"
 *     stale-after = "26h"             # alarm when the newest snapshot of a repository is older; s, m, h, d
 *     keep-deleted = "14d"            # how long what clients delete can be brought back; "0d" is not at all
 *     webhook = "https://..."         # gets the alarms, see `StaleAlarm`; only here
 *
 *     [users.ada]                     # the same keys, for a user
 *     quota = "500G"                  # below the folder "ada"
 *
 *     [repositories."ada/laptop"]     # and for a repository
 *     mode = "full"
 *
 * What several of them say holds together: a request must be allowed by all.
 * Of `stale-after` and `keep-deleted`, the most particular counts.
 */
function parsePolicy(text: string): Policy {
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    throw new YoreError("format", `Cannot read policy: ${messageOf(error).split("\n", 1)[0]}`, {
      cause: error,
    });
  }
  const { users, repositories, webhook, ...everybody } = table;
  const named = readNamed(repositories, "repositories");
  // A rule that no request can fall under is misspelt, and would silently allow everything.
  const unknown = [...named.keys()].find((path) => !isRepositoryPath(path));
  if (unknown !== undefined)
    throw wrong(
      `repositories.${JSON.stringify(unknown)}`,
      'expected the path of a repository, such as "ada/laptop"',
    );
  return {
    everybody: [readRules(everybody, "")],
    users: readNamed(users, "users"),
    repositories: named,
    webhook: readWebhook(webhook),
  };
}

export interface LoadedPolicy {
  readonly policy: Policy;
  /** Another one when the file has changed. */
  readonly version: string;
}

/**
 * @param mayBeEmpty whether a file with nothing in it means that there are no rules. A write that failed on a full disk
 *   leaves such a file, and must not lift the rules that were there before.
 * @throws {YoreError} naming the file and what is wrong in it
 */
export async function loadPolicy(path: string, mayBeEmpty: boolean): Promise<LoadedPolicy> {
  try {
    const version = await policyVersion(path);
    const bytes = await readFile(path);
    // Otherwise the rules of a name in Latin-1 would be those of somebody who is not there.
    if (!isUtf8(bytes)) throw new YoreError("format", "it is not UTF-8");
    const text = bytes.toString();
    if (!mayBeEmpty && text.trim() === "")
      throw new YoreError("format", "it is empty; a comment says that no rules are meant");
    return { policy: parsePolicy(text), version };
  } catch (error) {
    throw new YoreError("format", `Cannot load policy file "${path}": ${messageOf(error)}`, { cause: error });
  }
}

export async function policyVersion(path: string): Promise<string> {
  const { ctimeNs, mtimeNs, size, ino } = await stat(path, { bigint: true });
  return `${ctimeNs} ${mtimeNs} ${size} ${ino}`;
}

const KEYS: ReadonlySet<string> = new Set([
  "mode",
  "quota",
  "upload-rate",
  "download-rate",
  "stale-after",
  "keep-deleted",
]);

function readNamed(value: unknown, where: string): Map<string, Rules> {
  if (value === undefined) return new Map();
  if (!isTable(value)) throw wrong(where, "expected tables");
  const named = Object.entries(value).map(([name, rules]): [string, Rules] => {
    if (!isTable(rules)) throw wrong(`${where}.${name}`, "expected a table");
    return [name, readRules(rules, `${where}.${name}.`)];
  });
  return new Map(named);
}

function readRules(table: Record<string, unknown>, where: string): Rules {
  const unknown = Object.keys(table).find((key) => !KEYS.has(key));
  // A rule that is misspelt must not silently allow everything.
  if (unknown !== undefined)
    throw wrong(`${where}${unknown}`, `unknown key, expected ${[...KEYS].join(", ")}`);
  return {
    mode: readMode(table["mode"], `${where}mode`),
    quota: readBytes(table["quota"], `${where}quota`, 0),
    uploadRate: readBytes(table["upload-rate"], `${where}upload-rate`, 1),
    downloadRate: readBytes(table["download-rate"], `${where}download-rate`, 1),
    staleAfterMs: readDuration(table["stale-after"], `${where}stale-after`, 1),
    keepDeletedMs: readDuration(table["keep-deleted"], `${where}keep-deleted`, 0),
  };
}

function readMode(value: unknown, where: string): AccessMode | undefined {
  if (value === undefined) return undefined;
  const mode = ACCESS_MODES.find((one) => one === value);
  if (!mode) throw wrong(where, `expected one of ${ACCESS_MODES.join(", ")}`);
  return mode;
}

function readBytes(value: unknown, where: string, least: number): number | undefined {
  if (value === undefined) return undefined;
  const match = typeof value === "object" ? null : /^(\d+)([bkmgt]?)$/i.exec(String(value));
  const bytes = match
    ? Number(match[1]) * 1024 ** "bkmgt".indexOf((match[2] || "b").toLowerCase())
    : Number.NaN;
  if (!(bytes >= least && Number.isSafeInteger(bytes)))
    throw wrong(where, 'expected bytes, such as 1000 or "20G"');
  return bytes;
}

function readDuration(value: unknown, where: string, leastMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === "string" ? parsePolicyDuration(value) : undefined;
  if (ms === undefined || ms < leastMs) throw wrong(where, 'expected a time, such as "26h" or "8d"');
  return ms;
}

/** A time such as "26h" or "8d" in milliseconds; `undefined` for anything else. */
export function parsePolicyDuration(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
}

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What is wrong with it is told without it: it may hold a password. */
function readWebhook(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw wrong("webhook", "expected an address of http or https");
  // `fetch` would refuse it at each alarm.
  if (url.username !== "" || url.password !== "")
    throw wrong("webhook", "expected no user and no password in it");
  return url.href;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function wrong(where: string, what: string): YoreError {
  return new YoreError("format", `${where}: ${what}`);
}
