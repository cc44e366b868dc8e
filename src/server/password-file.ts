import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { LRUCache } from "lru-cache";
import { messageOf, YoreError } from "../errors.js";
import { BcryptThread } from "./bcrypt-thread.js";

/** How often it is looked whether the file has changed, at most. */
const RELOAD_EVERY_MS = 10_000;

/** Users whose right password need not be computed again: bcrypt takes 50 ms and more. */
const REMEMBERED_AT_MOST = 1_000;

const USER_NAME = /^[\p{L}\p{Nd}@._-]+$/u;
const BCRYPT = /^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;
/** The most that `htpasswd` takes: some 9 seconds. At 31, one comparison would keep the others waiting for days. */
const MOST_COST = 17;
const SHA1 = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/;

/**
 * Of no password that anybody will find: computed for users that are not there, so that the time does not tell. The cost
 * that `htpasswd -B` gives is 5, that of most others 10.
 */
const NOBODY = `$2b$10$${".".repeat(53)}`;

/**
 * A password file as `htpasswd -B` and `htpasswd -s` write it: `user:hash` on each line, bcrypt or `{SHA}`. Read again
 * when it has changed; while it cannot be read or parsed, what it said before counts.
 */
export class PasswordFile {
  readonly #path: string;
  readonly #onProblem: (line: string) => void;
  #hashes: ReadonlyMap<string, string>;
  #version: string;
  #checkedAt = performance.now();
  /** How often it was begun to read the file again, and at which of these times it was read what counts. */
  #begun = 0;
  #counts = 0;
  /** Why the file could not be read again, as it was told last; "" while it can. */
  #told = "";
  readonly #remembered = new LRUCache<string, Remembered>({ max: REMEMBERED_AT_MOST });
  readonly #secret = randomBytes(32);
  readonly #bcrypt = new BcryptThread();

  private constructor(path: string, onProblem: (line: string) => void, content: Content) {
    this.#path = path;
    this.#onProblem = onProblem;
    this.#hashes = content.hashes;
    this.#version = content.version;
  }

  /**
   * @param onProblem gets lines that are skipped and reloads that fail, one line each
   * @throws {YoreError} when the file cannot be read or parsed
   */
  static async load(path: string, onProblem: (line: string) => void): Promise<PasswordFile> {
    const content = await readPasswordFile(path);
    for (const line of content.skipped) onProblem(line);
    return new PasswordFile(path, onProblem, content);
  }

  /** True when this password was right before and the file still says so, which costs next to nothing to tell. */
  remembers(user: string, password: string): boolean {
    const remembered = this.#remembered.get(user);
    if (!remembered || remembered.hash !== this.#hashes.get(user)) return false;
    return timingSafeEqual(remembered.digest, this.#digest(user, password));
  }

  /** Reads the file again when that is due and it has changed. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#checkedAt > RELOAD_EVERY_MS) await this.reload({ ifChanged: true });
  }

  /** True when the user is there and the password is right. @throws {Refusal} 429 when too many wait */
  async verify(user: string, password: string): Promise<boolean> {
    const hash = this.#hashes.get(user);
    const isRight = await this.#matches(password, hash ?? NOBODY);
    // The file may have been read again meanwhile.
    if (!isRight || hash === undefined || hash !== this.#hashes.get(user)) return false;
    this.#remembered.set(user, { hash, digest: this.#digest(user, password) });
    return true;
  }

  async #matches(password: string, hash: string): Promise<boolean> {
    const sha1 = SHA1.exec(hash)?.[1];
    if (sha1 === undefined) return this.#bcrypt.compare(password, hash.replace(/^\$2y/, "$2b"));
    return timingSafeEqual(Buffer.from(sha1, "base64"), createHash("sha1").update(password).digest());
  }

  #digest(user: string, password: string): Buffer {
    return createHmac("sha256", this.#secret).update(`${user}\0${password}`).digest();
  }

  /** @param options.ifChanged false tells again what is wrong with the file, also when that was told before */
  async reload(options: { readonly ifChanged: boolean }): Promise<void> {
    this.#checkedAt = performance.now();
    const turn = ++this.#begun;
    try {
      if (options.ifChanged && (await versionOf(this.#path)) === this.#version) {
        this.#told = "";
        return;
      }
      const content = await readPasswordFile(this.#path);
      // What was read from a slow disk may be older than what has been read since.
      if (turn < this.#counts) return;
      this.#counts = turn;
      this.#hashes = content.hashes;
      this.#version = content.version;
      this.#told = "";
      for (const line of content.skipped) this.#onProblem(line);
    } catch (error) {
      const problem = `${messageOf(error)}; the passwords loaded before stay valid`;
      // What stays wrong is tried again and again, for it may be the disk, but would fill the log.
      if (!options.ifChanged || problem !== this.#told) this.#onProblem(problem);
      this.#told = problem;
    }
  }
}

/** A password that was right. */
interface Remembered {
  /** The hash that it was compared with. */
  readonly hash: string;
  /** HMAC of the password, under a key that lives as long as the server. */
  readonly digest: Buffer;
}

interface Content {
  readonly hashes: ReadonlyMap<string, string>;
  /** Why lines were skipped. */
  readonly skipped: readonly string[];
  readonly version: string;
}

async function readPasswordFile(path: string): Promise<Content> {
  try {
    const version = await versionOf(path);
    const skipped: string[] = [];
    const hashes = parsePasswordFile(await readFile(path, "utf8"), (line) => skipped.push(line));
    return { hashes, skipped, version };
  } catch (error) {
    if (error instanceof YoreError) throw error;
    throw new YoreError("backend", `Cannot read password file "${path}": ${messageOf(error)}`, {
      cause: error,
      hint: "Make one with `htpasswd -B -c FILE USER`, or serve without passwords with --no-auth",
    });
  }
}

/** @throws {YoreError} for a line that is no `user:hash`; users whose names or hashes are not known are skipped */
function parsePasswordFile(text: string, onProblem: (line: string) => void): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const [i, raw] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    if (colon < 0) throw new YoreError("format", `Cannot read password file: line ${i + 1} is no user:hash`);
    const user = unquote(line.slice(0, colon));
    const hash = unquote(
      line
        .slice(colon + 1)
        .split(":", 1)[0]!
        .trimStart(),
    );
    const wrong = whatIsWrongWith(hash);
    if (!USER_NAME.test(user)) onProblem(`password file, line ${i + 1}: skipped, the user name is not valid`);
    else if (wrong !== undefined) {
      onProblem(`password file, line ${i + 1}: user "${user}" skipped, ${wrong}`);
      // The last line of a user counts: what one before it says is out of date.
      hashes.delete(user);
    } else hashes.set(user, hash);
  }
  return hashes;
}

function whatIsWrongWith(hash: string): string | undefined {
  if (SHA1.test(hash)) return undefined;
  if (!BCRYPT.test(hash)) return "the hash is neither bcrypt nor {SHA}";
  return Number(hash.slice(4, 6)) > MOST_COST ? `the cost of its hash is above ${MOST_COST}` : undefined;
}

/** As rest-server does, which reads the lines as CSV and passes over blanks before a field. */
function unquote(field: string): string {
  return /^"(.*)"$/.exec(field)?.[1] ?? field;
}

async function versionOf(path: string): Promise<string> {
  // Hashes are all of one length, and what copies a file may set its time back: the time of change tells nevertheless.
  const { ctimeNs, mtimeNs, size, ino } = await stat(path, { bigint: true });
  return `${ctimeNs} ${mtimeNs} ${size} ${ino}`;
}
