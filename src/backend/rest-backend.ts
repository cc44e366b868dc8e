import { isHexId } from "../bytes/id.js";
import { DamagedError, messageOf, NotFoundError, YoreError } from "../errors.js";
import {
  type Backend,
  type FileInfo,
  type FileType,
  formatHandle,
  type Handle,
  type LoadRange,
} from "./backend.js";
import {
  HttpClient,
  type HttpOptions,
  type HttpRequest,
  type HttpResponse,
  type HttpTarget,
} from "./http-client.js";
import { failureOf } from "./http-failure.js";
import { FOLDERS } from "./local-layout.js";
import { formatLocation } from "./location.js";
import { RefusedError } from "./refused-error.js";
import { checkAnswer, totalOf } from "./rest-answer.js";
import { AT_ONCE, LISTING_V1, LISTING_V2, LISTINGS_HEADER } from "./rest-protocol.js";
import { basicAuthorization, type Credentials, parseRestUrl } from "./rest-url.js";
import { ServerDefectError } from "./server-defect-error.js";

/** No file of a repository is larger; packs have some 16 MiB, indexes up to some 100. */
const MAX_FILE_BYTES = 4 * 1024 ** 3 - 1;
/** Of those that have some hundred bytes: what a server sends without an end must not fill the memory before it is seen. */
const MAX_SMALL_FILE_BYTES = 16 * 1024 ** 2;
const SMALL_FILES: ReadonlySet<FileType> = new Set(["config", "key", "lock"]);
/** Of a listing: some 100 bytes a file. */
const MAX_LISTING_BYTES = 1024 ** 3;

const DEFAULT_CONNECTIONS = 5;
/**
 * How often a listing that is missing is asked for again: beside one client that saves and removes locks without a pause,
 * rest-server 0.14 says so to one of a hundred that ask, beside 16 clients to one of four.
 */
const MISSING_AGAIN = 4;

export interface RestBackendOptions extends HttpOptions {
  /** 5 unless said otherwise, as with restic. */
  readonly connections?: number | undefined;
  /** Where the URL names neither. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/**
 * A repository behind restic's REST protocol: rest-server, `rclone serve restic`, `yore serve`. One try for each call;
 * trying again is for the wrapper around it.
 *
 * Files are never replaced there, except the config. A save that finds its name taken is content when the file has the
 * right length: names are hashes.
 */
export class RestBackend implements Backend {
  readonly location: string;
  readonly connections: number;
  readonly #target: HttpTarget;
  readonly #authorization: string | undefined;
  readonly #client: HttpClient;
  #listsAtOnce = false;

  /**
   * @param url with a slash at its end, as `parseRestUrl` takes it
   * @throws {UsageError} if it cannot be parsed, or a certificate cannot be read
   */
  constructor(url: string, options: RestBackendOptions = {}) {
    const { target, credentials = credentialsOf(options) } = parseRestUrl(url);
    this.location = formatLocation({ scheme: "rest", url });
    this.connections = options.connections ?? DEFAULT_CONNECTIONS;
    this.#target = target;
    if (credentials) this.#authorization = basicAuthorization(credentials);
    this.#client = new HttpClient(options);
  }

  /** As the server of the last listing says of itself; those that say nothing may have a cloud behind them. */
  get listsAtOnce(): boolean {
    return this.#listsAtOnce;
  }

  async create(signal?: AbortSignal): Promise<void> {
    const response = await this.#send("create the repository", "POST", "?create=true", { signal });
    if (response.status !== 200) throw this.#unexpected("create the repository", response);
  }

  async save(handle: Handle, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    const response = await this.#post(handle, pieces, signal);
    if (response.status === 200) return;
    if (response.status !== 403 || !(await this.#yields(handle, pieces, signal)))
      throw this.#unexpected(`save ${formatHandle(handle)}`, response);
  }

  async load(handle: Handle, range: LoadRange = {}): Promise<Uint8Array> {
    const { offset = 0, length, signal } = range;
    const what = `load ${formatHandle(handle)}`;
    if (length === 0) return this.#loadNothing(handle, offset, signal);
    const whole = offset === 0 && length === undefined;
    const response = await this.#send(what, "GET", pathOf(handle), {
      ...(!whole && { range: { offset, length } }),
      maxBytes: length ?? (SMALL_FILES.has(handle.type) ? MAX_SMALL_FILE_BYTES : MAX_FILE_BYTES),
      signal,
    });
    const { status, body } = response;
    // A server need not know of ranges: of the whole file that it sends instead, the part was taken.
    if (status === 200 && (whole || body.length === length)) return body;
    if (whole || ![200, 206, 416].includes(status)) throw this.#missingOr(what, response);
    const got = status === 416 ? new Uint8Array(0) : body;
    return got.length === length ? got : this.#loadShort(handle, range, got, totalOf(response));
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#stat(handle, signal);
  }

  async *list(type: FileType, signal?: AbortSignal): AsyncIterable<FileInfo> {
    if (type === "config") {
      const config = await this.#stat({ type, name: "" }, signal).catch(undefinedIfMissing);
      if (config) yield config;
      return;
    }
    const what = `list the ${FOLDERS[type]}`;
    const ask = () =>
      this.#send(what, "GET", `${FOLDERS[type]}/`, {
        headers: { accept: LISTING_V2 },
        maxBytes: MAX_LISTING_BYTES,
        signal,
      });
    let response = await ask();
    // rest-server says so as well when a file goes while it lists: taken for an empty list, that would hide every lock.
    for (let again = 0; response.status === 404 && again < MISSING_AGAIN; again++) response = await ask();
    if (response.status === 404) {
      // For a folder that is missing rclone has an empty list, and a 404 for whatever goes wrong.
      if (!String(response.headers["server"]).startsWith("rclone/")) return;
      throw new YoreError(
        "backend",
        `Cannot ${what} at "${this.location}": the server answered 404 (Not Found)`,
      );
    }
    if (response.status !== 200) throw this.#unexpected(what, response);
    this.#listsAtOnce = response.headers[LISTINGS_HEADER] === AT_ONCE;
    const entries = parseListing(response.body, what, this.location);
    const isV1 = response.headers["content-type"]?.startsWith(LISTING_V1) || typeof entries[0] === "string";
    // A list that is shorter than what is there would be a repository that has lost files, which prune and repair act on.
    if (!entries.every(isV1 ? isName : isFileInfo)) throw new ServerDefectError(noList(what, this.location));
    if (isV1) yield* this.#withSizes(type, entries as string[], signal);
    else yield* (entries as FileInfo[]).filter(({ name }) => isHexId(name));
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    const what = `remove ${formatHandle(handle)}`;
    const response = await this.#send(what, "DELETE", pathOf(handle), { signal });
    if (response.status !== 200) throw this.#missingOr(what, response);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #post(
    handle: Handle,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    return this.#send(`save ${formatHandle(handle)}`, "POST", pathOf(handle), {
      headers: { "content-type": "application/octet-stream", accept: LISTING_V2 },
      body: pieces,
      signal,
    });
  }

  /** The server keeps what it has under the name: whether that is as good. */
  async #yields(
    handle: Handle,
    pieces: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const there = await this.#stat(handle, signal).catch((error: unknown) => {
      // What the server said to the save is more to the point.
      if (error instanceof RefusedError) return undefined;
      return undefinedIfMissing(error);
    });
    if (!there) return false;
    if (handle.type !== "config") return there.size === pieces.reduce((sum, piece) => sum + piece.length, 0);
    await this.remove(handle, signal);
    return (await this.#post(handle, pieces, signal)).status === 200;
  }

  async #stat(handle: Handle, signal: AbortSignal | undefined): Promise<FileInfo> {
    const what = `stat ${formatHandle(handle)}`;
    const response = await this.#send(what, "HEAD", pathOf(handle), { signal });
    const size = Number(response.headers["content-length"] ?? Number.NaN);
    if (response.status !== 200) throw this.#missingOr(what, response);
    if (!Number.isSafeInteger(size))
      throw new ServerDefectError(`Cannot ${what} at "${this.location}": the server told no size`);
    return { name: handle.name, size };
  }

  /** HTTP has no range without bytes. */
  async #loadNothing(handle: Handle, offset: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { size } = await this.#stat(handle, signal);
    if (offset > size) throw tooShort(`load ${formatHandle(handle)}`, this.location, offset, 0, size);
    return new Uint8Array(0);
  }

  /**
   * Fewer bytes came than were asked for: good where the file ends there and the reader knows that it may.
   *
   * @param total the file's size, where the server said so
   * @throws {ServerDefectError} if the server has sent less than there is, which must not be taken for a damaged file
   */
  async #loadShort(
    handle: Handle,
    { offset = 0, length, upTo, signal }: LoadRange,
    got: Uint8Array,
    total: number | undefined,
  ): Promise<Uint8Array> {
    const what = `load ${formatHandle(handle)}`;
    const size = total ?? (await this.#stat(handle, signal)).size;
    const there = Math.max(0, Math.min(length ?? size, size - offset));
    if (got.length < there) {
      const message = `the server sent ${got.length} bytes from offset ${offset} on, of ${there} that are there`;
      throw new ServerDefectError(`Cannot ${what} at "${this.location}": ${message}`);
    }
    if (upTo || (length === undefined && offset <= size)) return got;
    throw tooShort(what, this.location, offset, length ?? 0, size);
  }

  async *#withSizes(
    type: Exclude<FileType, "config">,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): AsyncIterable<FileInfo> {
    const ids = names.filter(isHexId);
    for (let i = 0; i < ids.length; i += STATS_AT_A_TIME) {
      const batch = ids.slice(i, i + STATS_AT_A_TIME);
      const infos = await Promise.all(
        batch.map((name) => this.#stat({ type, name }, signal).catch(undefinedIfMissing)),
      );
      for (const info of infos) if (info) yield info;
    }
  }

  /** @throws {YoreError} with the place and what was tried */
  async #send(
    what: string,
    method: HttpRequest["method"],
    path: string,
    more: Partial<Pick<HttpRequest, "headers" | "range" | "body" | "maxBytes" | "signal">> = {},
  ): Promise<HttpResponse> {
    const request: HttpRequest = {
      method,
      url: { ...this.#target, path: this.#target.path + path },
      ...more,
      headers: { ...more.headers, ...(this.#authorization && { authorization: this.#authorization }) },
    };
    try {
      const response = await this.#client.send(request);
      checkAnswer(request, response);
      return response;
    } catch (error) {
      if (!(error instanceof YoreError) || error.code === "interrupted") throw error;
      const message = `Cannot ${what} at "${this.location}": ${messageOf(error)}`;
      const more = { cause: error, ...(error.hint !== undefined && { hint: error.hint }) };
      throw error instanceof RefusedError
        ? new RefusedError(message, more)
        : new YoreError(error.code, message, more);
    }
  }

  #missingOr(what: string, response: HttpResponse): YoreError {
    return response.status === 404
      ? new NotFoundError(`Cannot ${what} at "${this.location}": file does not exist`)
      : this.#unexpected(what, response);
  }

  #unexpected(what: string, response: HttpResponse): YoreError {
    return failureOf(response, `Cannot ${what} at "${this.location}"`, this.#authorization !== undefined);
  }
}

function credentialsOf({ username = "", password = "" }: RestBackendOptions): Credentials | undefined {
  if (username === "" && password === "") return undefined;
  return { user: Buffer.from(username), password: Buffer.from(password) };
}

/** For servers that list names only. */
const STATS_AT_A_TIME = 16;

function pathOf(handle: Handle): string {
  return handle.type === "config" ? "config" : `${FOLDERS[handle.type]}/${handle.name}`;
}

function parseListing(body: Buffer, what: string, location: string): unknown[] {
  const text = body.toString("utf8");
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch {
    // A list that was cut off, or left out, may be whole the next time.
    if (/^[ \t\r\n]*(?:\[|$)/.test(text)) throw new YoreError("backend", noList(what, location));
    const beginning = text
      .slice(0, 40)
      .replace(/[\p{Cc}\p{Cf}]+/gu, " ")
      .trim();
    throw new ServerDefectError(`${noList(what, location)}; it begins with "${beginning}"`);
  }
  // rclone says null for nothing.
  if (entries === null) return [];
  if (!Array.isArray(entries)) throw new ServerDefectError(noList(what, location));
  return entries;
}

function noList(what: string, location: string): string {
  return `Cannot ${what} at "${location}": the server's answer is no list of files`;
}

function isName(entry: unknown): boolean {
  return typeof entry === "string";
}

function isFileInfo(entry: unknown): boolean {
  const { name, size } = (entry ?? {}) as Partial<FileInfo>;
  return isName(name) && Number.isSafeInteger(size) && size! >= 0;
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof NotFoundError) return undefined;
  throw error;
}

function tooShort(
  what: string,
  location: string,
  offset: number,
  length: number,
  size: number,
): DamagedError {
  return new DamagedError(
    `Cannot ${what} at "${location}": file is too short, wanted ${length} bytes at offset ${offset}, but it ends at ${size}`,
  );
}
