import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { LRUCache } from "lru-cache";
import { delay } from "../async/deadline.js";
import { SingleFlight } from "../async/single-flight.js";
import { TokenBucket } from "../async/token-bucket.js";
import { guesserNetwork } from "./guesser-network.js";
import type { PasswordFile } from "./password-file.js";
import { Refusal } from "./refusal.js";

/** Whom a server believes. */
export type Authentication =
  | { readonly kind: "none" }
  | { readonly kind: "passwords"; readonly file: PasswordFile }
  /** A proxy in front has asked for the password; this header names the user. */
  | { readonly kind: "proxy"; readonly header: string };

/** Guesses that are allowed in a second, for one user from one network. */
const GUESSES_A_SECOND = 0.5;
/** So many seconds' worth may come at once; the next ones wait, and when as many wait no more are looked at. */
const PATIENCE_SECONDS = 15;
/** How many users and networks are remembered. */
const GUESSERS = 10_000;
/** How much of a user's name, which may be as long as a header. */
const GUESSED_NAME = 100;

/** Finds out who sends a request. */
export class Authenticator {
  readonly #authentication: Authentication;
  /** By network and user, so that behind a proxy nobody is shut out for another's guesses. */
  readonly #guesses = new LRUCache<string, Guesses>({ max: GUESSERS });
  /** A client that begins with many connections at once guesses once. */
  readonly #comparisons = new SingleFlight<string, boolean>();

  constructor(authentication: Authentication) {
    this.#authentication = authentication;
  }

  /**
   * @returns the user, "" where nobody is asked
   * @throws {Refusal} 401, or 429 when too many passwords wait to be compared
   */
  async identify(request: IncomingMessage): Promise<string> {
    switch (this.#authentication.kind) {
      case "none":
        return "";
      case "proxy": {
        const user = readName(request.headersDistinct[this.#authentication.header.toLowerCase()]);
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
    const { remoteAddress } = request.socket;
    const guesser = `${guesserNetwork(remoteAddress ?? "")} ${user.slice(0, GUESSED_NAME)}`;
    // No name has a colon.
    const isRight = await this.#comparisons.run(`${remoteAddress} ${user}:${password}`, async () => {
      const guesses = this.#guesses.get(guesser) ?? new Guesses();
      this.#guesses.set(guesser, guesses);
      await delay(guesses.take() * 1000);
      let isWrong = false;
      try {
        isWrong = !(await file.verify(user, password));
      } finally {
        // Also when it could not be compared.
        if (!isWrong) guesses.giveBack();
      }
      return !isWrong;
    });
    if (!isRight) throw unauthorized();
    return user;
  }
}

/**
 * A person who mistypes is not kept waiting; a program that guesses is. Nobody can tell the two before the password is
 * compared, so that the right one has its turn among the guesses.
 */
class Guesses {
  readonly #bucket = new TokenBucket(GUESSES_A_SECOND);

  /** @returns seconds to wait before the password is compared @throws {Refusal} 429 when too many wait */
  take(): number {
    const wait = this.#bucket.take(1) / 1000 - PATIENCE_SECONDS;
    if (wait <= PATIENCE_SECONDS) return Math.max(0, wait);
    this.giveBack();
    const after = String(Math.ceil(wait - PATIENCE_SECONDS));
    throw new Refusal(429, "Too many wrong passwords", { "retry-after": after });
  }

  giveBack(): void {
    this.#bucket.take(-1);
  }
}

/** Reads `Basic <base64 of user:password>` (RFC 7617). */
function parseBasicCredentials(
  header: string | undefined,
): { readonly user: string; readonly password: string } | undefined {
  const match = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? "");
  if (!match) return undefined;
  const text = Buffer.from(match[1]!, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Node.js takes the bytes of a header for Latin-1, but names of users, in files and in paths, are UTF-8. */
function readName(values: readonly string[] = []): string | undefined {
  const [header = "", ...others] = values;
  // Of several, one is not the proxy's; joined they would be the name of somebody without rules.
  if (header === "" || others.length > 0) return undefined;
  const bytes = Buffer.from(header, "latin1");
  // Otherwise all names that are none would become the same one.
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

function unauthorized(): Refusal {
  return new Refusal(401, "Unauthorized", { "www-authenticate": 'Basic realm="backups", charset="UTF-8"' });
}
