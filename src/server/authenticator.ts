import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { LRUCache } from "lru-cache";
import { TokenBucket } from "../async/token-bucket.js";
import type { PasswordFile } from "./password-file.js";
import { Refusal } from "./refusal.js";

/** Whom a server believes. */
export type Authentication =
  | { readonly kind: "none" }
  | { readonly kind: "passwords"; readonly file: PasswordFile }
  /** A proxy in front has asked for the password; this header, in lower case, names the user. */
  | { readonly kind: "proxy"; readonly header: string };

/** Wrong passwords that are forgiven in a second, for one user from one address. */
const FORGIVEN_A_SECOND = 0.5;
/** When so many seconds' worth have come, no more are looked at until they are forgiven. */
const PATIENCE_SECONDS = 15;
/** How many users and addresses are remembered. */
const GUESSERS = 10_000;

/** Finds out who sends a request. */
export class Authenticator {
  readonly #authentication: Authentication;
  /** By address and user, so that behind a proxy nobody is shut out for another's guesses. */
  readonly #wrong = new LRUCache<string, WrongPasswords>({ max: GUESSERS });

  constructor(authentication: Authentication) {
    this.#authentication = authentication;
  }

  /**
   * @returns the user, "" where nobody is asked
   * @throws {Refusal} 401, or 429 after too many wrong passwords from one address
   */
  async identify(request: IncomingMessage): Promise<string> {
    switch (this.#authentication.kind) {
      case "none":
        return "";
      case "proxy": {
        const user = readName(request.headers[this.#authentication.header]);
        if (user === undefined) throw unauthorized();
        return user;
      }
      case "passwords":
        return this.#byPassword(request, this.#authentication.file);
    }
  }

  async #byPassword(request: IncomingMessage, file: PasswordFile): Promise<string> {
    const credentials = parseBasicCredentials(request.headers.authorization);
    if (!credentials) throw unauthorized();
    const { user, password } = credentials;
    await file.refresh();
    if (file.remembers(user, password)) return user;
    const guesser = `${request.socket.remoteAddress} ${user}`;
    const wrong = this.#wrong.get(guesser) ?? new WrongPasswords();
    const wait = wrong.secondsToWait();
    if (wait > 0)
      throw new Refusal(429, "Too many wrong passwords", { "retry-after": String(Math.ceil(wait)) });
    if (await file.verify(user, password)) return user;
    wrong.add();
    this.#wrong.set(guesser, wrong);
    throw unauthorized();
  }
}

/** A person who mistypes is not kept waiting; a program that guesses is. */
class WrongPasswords {
  readonly #bucket = new TokenBucket(FORGIVEN_A_SECOND);
  #blockedUntil = 0;

  add(): void {
    const waitMs = this.#bucket.take(1);
    if (waitMs > PATIENCE_SECONDS * 1000) this.#blockedUntil = performance.now() + waitMs;
  }

  secondsToWait(): number {
    return Math.max(0, this.#blockedUntil - performance.now()) / 1000;
  }
}

/** Reads `Basic <base64 of user:password>` (RFC 7617). */
export function parseBasicCredentials(
  header: string | undefined,
): { readonly user: string; readonly password: string } | undefined {
  const match = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "");
  if (!match) return undefined;
  const text = Buffer.from(match[1]!, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Node.js takes the bytes of a header for Latin-1, but names of users, in files and in paths, are UTF-8. */
function readName(header: string | readonly string[] | undefined): string | undefined {
  if (typeof header !== "string" || header === "") return undefined;
  const bytes = Buffer.from(header, "latin1");
  // Otherwise all names that are none would become the same one.
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

function unauthorized(): Refusal {
  return new Refusal(401, "Unauthorized", { "www-authenticate": 'Basic realm="backups", charset="UTF-8"' });
}
