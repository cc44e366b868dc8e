import type { IncomingMessage } from "node:http";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A request and what became of it. */
export interface Answered {
  readonly request: IncomingMessage;
  /** The client's; "-" when it is not known. */
  readonly address: string;
  /** "" when there is none. */
  readonly user: string;
  readonly statusCode: number;
  /** Bytes of the answer's body. */
  readonly sent: number;
}

/** One line in Apache's combined log format for each request, when it has been answered. */
export class AccessLog {
  readonly #writeLine: (line: string) => void;

  constructor(writeLine: (line: string) => void) {
    this.#writeLine = writeLine;
  }

  write({ request, address, user, statusCode, sent }: Answered): void {
    const { method, url, httpVersion, headers } = request;
    const line = [
      address,
      "-",
      user === "" ? "-" : printable(user),
      `[${formatTime(new Date())}]`,
      `"${printable(`${method} ${url} HTTP/${httpVersion}`)}"`,
      statusCode,
      sent,
      `"${printable(headers.referer ?? "-")}"`,
      `"${printable(headers["user-agent"] ?? "-")}"`,
    ].join(" ");
    this.#writeLine(line);
  }
}

/** What a client sent, so that it can neither end the line nor a quoted part. */
function printable(text: string): string {
  return text.replace(/["\\]/g, "\\$&").replace(/[^\x20-\x7e]/g, (char) => {
    return [...Buffer.from(char)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  });
}

/** "22/Nov/2026:18:03:59 +0100" */
function formatTime(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const offset = -time.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(time.getDate())}/${MONTHS[time.getMonth()]}/${time.getFullYear()}`;
  return `${day}:${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())} ${zone}`;
}
