import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { TokenBucket } from "../async/token-bucket.js";
import type { Handle } from "../backend/backend.js";
import { isOnLocalDisk } from "../backend/local-disk.js";
import { folderOfType } from "../backend/local-layout.js";
import { AT_ONCE, LISTING_V1, LISTING_V2, LISTINGS_HEADER } from "../backend/rest-protocol.js";
import { idFromBytes } from "../bytes/id.js";
import { messageOf } from "../errors.js";
import type { AccessLog } from "./access-log.js";
import type { Authenticator } from "./authenticator.js";
import type { LeastPace } from "./body-pace.js";
import { BINARY, describeParts, writeText } from "./byte-parts.js";
import { parseByteRanges } from "./byte-range.js";
import type { Connections } from "./connections.js";
import type { ExactNames } from "./exact-names.js";
import { listFiles } from "./file-listing.js";
import type { Metrics } from "./metrics.js";
import { allows, type Grant, type Operation, type PolicyKeeper } from "./policy.js";
import { QuotaReservation } from "./quota-reservation.js";
import { receiveBody } from "./receive-body.js";
import { Refusal, refusalOf } from "./refusal.js";
import { isSmallFile, type RepositoryFiles } from "./repository-files.js";
import {
  type ListedType,
  parseRequestTarget,
  type RepositoryPath,
  type RequestTarget,
} from "./request-target.js";
import { sendFile } from "./send-file.js";
import type { TransferMemory } from "./transfer-memory.js";
import { isDirect, type Upload } from "./upload.js";
import type { UsageLedger } from "./usage.js";

/** What the handler works with; one set for the life of a server. */
export interface ServerParts {
  readonly connections: Connections;
  readonly files: RepositoryFiles;
  readonly names: ExactNames;
  readonly usage: UsageLedger;
  /** Resolves when the usage is counted: quotas wait for it. */
  readonly counted: Promise<void>;
  readonly policy: PolicyKeeper;
  readonly authenticator: Authenticator;
  /** `undefined` when nobody asked for them. */
  readonly metrics: Metrics | undefined;
  readonly metricsWithoutPassword: boolean;
  readonly memory: TransferMemory;
  readonly privateRepositories: boolean;
  readonly verifyUploads: boolean;
  readonly slowBodies: LeastPace;
  readonly accessLog: AccessLog | undefined;
  readonly onLog: (line: string) => void;
}

/** One request, and what is known about it by now. */
interface Exchange {
  readonly request: IncomingMessage;
  /** Another one after the connection was lent. */
  response: ServerResponse;
  /** The client's; "-" when it is not known. */
  readonly address: string;
  user: string;
  /** Bytes of bodies sent, for the log. */
  sent: number;
  /** Called when the answer is out, or nobody wants it any more. */
  readonly onEnd: () => void;
}

/** Answers the requests of restic's REST protocol, versions 1 and 2. */
export class RequestHandler {
  readonly #parts: ServerParts;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** Never throws: whatever happens becomes an answer, or the end of the connection. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    let ended = false;
    const exchange: Exchange = {
      request,
      response,
      address: request.socket.remoteAddress ?? "-",
      user: "",
      sent: 0,
      onEnd: () => {
        if (ended) return;
        ended = true;
        const { statusCode } = exchange.response;
        const seconds = (performance.now() - started) / 1000;
        this.#parts.metrics?.observe(knownMethod(request.method), statusCode, seconds);
        this.#parts.accessLog?.write({ ...exchange, statusCode });
      },
    };
    response.once("close", exchange.onEnd);
    try {
      await this.#answer(exchange);
    } catch (error) {
      this.#refuse(exchange, error);
    }
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const target = parseRequestTarget(request.url ?? "");
    if (target?.kind === "health") return end(exchange, 200, "text/plain", "ok\n");
    const openMetrics =
      target?.kind === "metrics" && this.#parts.metrics && this.#parts.metricsWithoutPassword;
    if (!openMetrics) exchange.user = await this.#parts.authenticator.identify(request);
    if (!target) throw new Refusal(404, "Not found");
    if (target.kind === "metrics") return this.#sendMetrics(exchange);
    if (this.#parts.privateRepositories && target.repository[0] !== exchange.user)
      throw new Refusal(403, "Another user's repository");
    const checked = this.#parts.names.require(target.repository);
    if (checked) await checked;
    const grant = this.#parts.policy.grant(exchange.user, target.repository);
    switch (`${knownMethod(request.method)} ${target.kind}`) {
      case "POST repository":
        return this.#create(exchange, target.repository, grant);
      case "GET list":
        return this.#list(exchange, target as Extract<RequestTarget, { kind: "list" }>);
      case "HEAD file":
      case "GET file":
        return this.#send(exchange, target as FileTarget, grant);
      case "POST file":
        return this.#receive(exchange, target as FileTarget, grant);
      case "DELETE file":
        return this.#remove(exchange, target as FileTarget, grant);
      default:
        response.setHeader("allow", ALLOWED[target.kind]);
        throw new Refusal(405, "Method not allowed");
    }
  }

  async #sendMetrics(exchange: Exchange): Promise<void> {
    const { metrics, metricsWithoutPassword, privateRepositories } = this.#parts;
    if (!metrics) throw new Refusal(404, "Not found");
    // With private repositories, the names of the others are nobody's business but the monitor's.
    if (privateRepositories && !metricsWithoutPassword && exchange.user !== "metrics")
      throw new Refusal(403, 'Only the user "metrics" may read them');
    end(exchange, 200, metrics.contentType, await metrics.text());
  }

  async #create(exchange: Exchange, repository: RepositoryPath, grant: Grant): Promise<void> {
    const query = new URLSearchParams(exchange.request.url!.split("?")[1] ?? "");
    if (query.get("create") !== "true")
      throw new Refusal(400, "Cannot create a repository without create=true");
    requirePermission(grant, "add", { type: "config", name: "" });
    await this.#parts.files.create(repository);
    this.#parts.usage.add(repository, 0);
    this.#parts.onLog(`created repository "${repository.join("/")}"`);
    end(exchange, 200);
  }

  /** Streamed folder by folder: memory is that of the largest folder, whatever the number of files. */
  async #list(
    exchange: Exchange,
    { repository, type }: { readonly repository: RepositoryPath; readonly type: ListedType },
  ): Promise<void> {
    const { request, response } = exchange;
    if (!(await isItsTurn(response))) return;
    const withSizes = accepts(request.headers.accept, LISTING_V2);
    const path = this.#parts.files.folderOf(repository);
    const isAtOnce = await isOnLocalDisk(join(path, folderOfType(type)));
    const folders = listFiles(path, type)[Symbol.asyncIterator]();
    let folder = await folders.next();
    response.writeHead(200, {
      "content-type": withSizes ? LISTING_V2 : LISTING_V1,
      ...(isAtOnce ? { [LISTINGS_HEADER]: AT_ONCE } : {}),
    });
    let text = "[";
    for (let first = true; !folder.done; folder = await folders.next()) {
      for (const { name, size } of folder.value) {
        text += `${first ? "" : ","}${withSizes ? `{"name":"${name}","size":${size}}` : `"${name}"`}`;
        first = false;
      }
      exchange.sent += text.length;
      if (!(await writeText(response, text))) return;
      text = "";
    }
    exchange.sent += 1;
    response.end(`${text}]`);
  }

  async #send(exchange: Exchange, { repository, handle }: FileTarget, grant: Grant): Promise<void> {
    const { request, response } = exchange;
    const content = this.#loadCached(request, { repository, handle }, grant);
    if (content) {
      exchange.sent += content.length;
      response.writeHead(200, { ...BINARY, "content-length": content.length });
      response.end(content);
      this.#parts.metrics?.count("read", exchange.user, repository, handle.type, content.length);
      return;
    }
    if (!(await isItsTurn(response))) return;
    const { file, size } = await this.#parts.files.open(repository, handle);
    try {
      if (request.method === "HEAD") {
        response.writeHead(200, { ...BINARY, "content-length": size });
        response.end();
        return;
      }
      requirePermission(grant, "read", handle);
      const ranges = parseByteRanges(rangeOf(request), size);
      if (ranges?.length === 0)
        throw new Refusal(416, "No such range", { "content-range": `bytes */${size}` });
      const parts = describeParts(response, ranges, size);
      const onSent = (count: number) => {
        exchange.sent += count;
      };
      const options = { memory: this.#parts.memory, rates: grant.downloads, onSent };
      for (const { head, first, bytes } of parts) {
        if (head !== "" && !(await writeText(response, head))) return;
        await sendFile(response, file, first, bytes, options);
      }
      response.end();
      this.#parts.metrics?.count("read", exchange.user, repository, handle.type, exchange.sent);
    } finally {
      await file.close();
    }
  }

  /** What can be answered at once, as a whole. */
  #loadCached(request: IncomingMessage, target: Omit<FileTarget, "kind">, grant: Grant): Buffer | undefined {
    const isWhole = request.method === "GET" && rangeOf(request) === undefined;
    if (!isWhole || grant.downloads.length > 0) return undefined;
    requirePermission(grant, "read", target.handle);
    return this.#parts.files.loadCached(target.repository, target.handle);
  }

  async #receive(exchange: Exchange, { repository, handle }: FileTarget, grant: Grant): Promise<void> {
    const { files, usage, counted, metrics, verifyUploads } = this.#parts;
    const { request } = exchange;
    requirePermission(grant, "add", handle);
    const length = Number(request.headers["content-length"] ?? Number.NaN);
    if (length > Number.MAX_SAFE_INTEGER) throw new Refusal(413, "The body is too long");
    const isSmall = isSmallFile(handle, length);
    if (!isSmall && (await files.sizeOf(repository, handle)) !== undefined)
      throw new Refusal(403, "File exists");
    // Locks are small, short-lived, and what lets a repository that is full be pruned.
    const quotas = handle.type === "lock" && length <= LOCK_BYTES ? [] : grant.quotas;
    if (quotas.length > 0) await counted;
    const reservation = new QuotaReservation(usage, repository, quotas);
    reservation.announce(length || 0);
    try {
      const upload = isSmall
        ? await files.beginSmallUpload(repository, handle)
        : await files.beginUpload(repository, handle);
      try {
        const bytes = await this.#receiveBody(exchange, upload, length, reservation, grant.uploads);
        const verified = verifyUploads && handle.type !== "config";
        const endChange = await usage.beginChange(repository);
        try {
          const outcome = await upload.commit(
            verified ? idFromBytes(Buffer.from(handle.name, "hex")) : undefined,
          );
          if (outcome === "exists") throw new Refusal(403, "File exists");
          if (outcome === "wrong-hash") throw new Refusal(400, "The content does not have this hash");
          reservation.keep();
          if (handle.type === "snapshot") usage.addSnapshot(repository, Date.now());
          if (handle.type === "config") usage.setConfig(repository, Date.now());
        } finally {
          endChange();
        }
        metrics?.count("write", exchange.user, repository, handle.type, bytes);
      } finally {
        await upload.discard();
      }
    } catch (error) {
      reservation.release();
      throw error;
    }
    end(exchange, 200);
  }

  /** @returns bytes received */
  async #receiveBody(
    exchange: Exchange,
    upload: Upload,
    length: number,
    reservation: QuotaReservation,
    rates: readonly TokenBucket[],
  ): Promise<number> {
    const { memory, slowBodies, connections } = this.#parts;
    const { request, response, onEnd } = exchange;
    // Rates are kept by reading piece by piece.
    const direct = isDirect(upload) && rates.length === 0 ? upload : undefined;
    if (waitsToBeAsked(request)) response.writeContinue();
    const connection = direct && connections.lend(request, response, length);
    if (!connection) {
      const consume = async (pieces: readonly Buffer[], bytes: number) => {
        reservation.use(bytes);
        await upload.append(pieces);
      };
      return receiveBody(request, consume, { memory, rates, ...slowBodies });
    }
    response.off("close", onEnd);
    try {
      await connection.receive(direct, { ...slowBodies, onBytes: (bytes) => reservation.use(bytes) });
      return length;
    } finally {
      exchange.response = connections.giveBack(connection).once("finish", onEnd).once("close", onEnd);
    }
  }

  async #remove(exchange: Exchange, { repository, handle }: FileTarget, grant: Grant): Promise<void> {
    const { files, usage, policy, metrics } = this.#parts;
    requirePermission(grant, "remove", handle);
    const size = await files.sizeOf(repository, handle);
    const keep = handle.type !== "lock" && (policy.keepDeletedMs(repository.join("/")) ?? 0) > 0;
    if (size !== undefined) {
      const endChange = await usage.beginChange(repository);
      try {
        if (await files.remove(repository, handle, keep)) {
          usage.add(repository, -size);
          if (keep) usage.addDeleted(repository, size);
          if (handle.type === "snapshot") usage.removeSnapshot(repository);
          if (handle.type === "config") usage.setConfig(repository, 0);
          metrics?.count("delete", exchange.user, repository, handle.type, size);
        }
      } finally {
        endChange();
      }
    }
    // A password that was taken away must not come back, also when it is gone already and only its sync has failed.
    if (handle.type === "key") await files.settleRemovals(repository);
    end(exchange, 200);
  }

  #refuse(exchange: Exchange, error: unknown): void {
    const { request, response } = exchange;
    const refusal = refusalOf(error);
    if (refusal.status >= 500 || !(error instanceof Refusal))
      this.#parts.onLog(`${request.method} ${JSON.stringify(request.url)}: ${messageOf(error)}`);
    if (response.headersSent) {
      // The client must not take what it got for the whole.
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
    end(exchange, refusal.status, "text/plain; charset=utf-8", `${refusal.message}\n`);
  }
}

type FileTarget = Extract<RequestTarget, { kind: "file" }>;

/** What a lock has at most: restic's have some 300 bytes. */
const LOCK_BYTES = 64 * 1024;

const ALLOWED = { repository: "POST", list: "GET", file: "GET, HEAD, POST, DELETE" };

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PATCH"]);

/** Of the methods that there are; a metric must not grow with what clients invent. */
function knownMethod(method: string | undefined): string {
  return method !== undefined && METHODS.has(method) ? method : "OTHER";
}

function requirePermission(grant: Grant, operation: Operation, handle: Handle): void {
  const against = grant.modes.find((mode) => !allows(mode, operation, handle.type));
  if (against) throw new Refusal(403, `Not allowed: the repository is ${against} here`);
}

/**
 * Waits until the answers to earlier requests of the same connection are out. When it closes before, Node.js tells those
 * behind them nothing: what had begun would wait for ever to be read, its file open.
 *
 * @returns false when nobody listens any more
 */
async function isItsTurn(response: ServerResponse): Promise<boolean> {
  if (!response.socket) await once(response, "socket");
  return !response.socket!.destroyed;
}

/** With a body that it sends when it is asked for; in HTTP/1.0 that means nothing. */
function waitsToBeAsked({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion === "1.1";
}

/** None where it depends on a version of the file: answers name none, so that it is never the same. */
function rangeOf({ headers }: IncomingMessage): string | undefined {
  return headers["if-range"] === undefined ? headers.range : undefined;
}

/** Also within a list of types, as other clients than restic write it. */
function accepts(header: string | undefined, type: string): boolean {
  return (header ?? "").split(",").some((item) => item.split(";", 1)[0]!.trim().toLowerCase() === type);
}

function end(exchange: Exchange, status: number, type?: string, text = ""): void {
  const { response } = exchange;
  exchange.sent += Buffer.byteLength(text);
  response.writeHead(status, {
    "content-length": Buffer.byteLength(text),
    ...(type !== undefined && { "content-type": type, "x-content-type-options": "nosniff" }),
  });
  response.end(text);
}
