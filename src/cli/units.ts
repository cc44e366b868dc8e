/** Numbers as people read them, in restic's words: binary units with three decimals, clock times. */

import { invalidArgument } from "./invalid-argument.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** "1.500 KiB"; whole bytes below 1 KiB. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let scale = 1;
  while (bytes >= scale * 1024 && unit < UNITS.length - 1) {
    scale *= 1024;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${formatFraction(bytes, scale, 3)} ${UNITS[unit]}`;
}

/**
 * A fraction of whole numbers with so many decimals, exactly half rounded to the even digit as Go does: `toFixed` would
 * round it up, and 6720 bytes would not be "6.562 KiB" in both programs.
 */
function formatFraction(numerator: number, denominator: number, decimals: number): string {
  const divisor = BigInt(Math.round(denominator));
  const scaled = BigInt(Math.round(numerator)) * 10n ** BigInt(decimals);
  let digits = scaled / divisor;
  const twice = (scaled % divisor) * 2n;
  if (twice > divisor || (twice === divisor && digits % 2n === 1n)) digits++;
  const text = digits.toString().padStart(decimals + 1, "0");
  return `${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
}

/** "0:05", "1:02:03": minutes and seconds, hours when there are any. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** "23.45%" of a whole; nothing is 0%, and more than all is 100%. */
export function formatPercent(part: number, whole: number): string {
  if (whole <= 0) return "0.00%";
  return `${formatFraction(100 * Math.min(part, whole), whole, 2)}%`;
}

const SIZE = /^([+-]?\d+)([bkmgt]?)$/i;

/** "10", "4K", "2g": an integer with a binary unit, as restic takes it. @throws {UsageError} naming where it stood */
export function parseSize(where: string, text: string): number {
  const match = SIZE.exec(text);
  if (!match) throw invalidArgument(where, text, "wanted a number and one of b, k, m, g, t");
  const power = "bkmgt".indexOf((match[2] || "b").toLowerCase());
  const bytes = Number(match[1]) * 1024 ** power;
  if (bytes < 0 || !Number.isSafeInteger(bytes)) throw invalidArgument(where, text, "out of range");
  return bytes;
}

const DURATION_PART = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/;
const MILLISECONDS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's durations, "5m", "1h30m", "1.5s", in milliseconds. @throws {UsageError} naming where it stood */
export function parseDuration(where: string, text: string): number {
  const wrong = () => invalidArgument(where, text, "wanted something like 5m, 90s or 1h30m");
  const negative = text.startsWith("-");
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  let total = 0;
  if (rest === "") throw wrong();
  while (rest !== "") {
    const match = DURATION_PART.exec(rest);
    if (!match) throw wrong();
    total += Number(match[1]) * MILLISECONDS[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  return negative ? -total : total;
}
