import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import {
  createServer as createTlsServer,
  type ServerOptions as TlsOptions,
  type Server as TlsServer,
} from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { SecureVersion } from "node:tls";
import { messageOf, systemCodeOf, YoreError } from "../errors.js";
import { AccessLog } from "./access-log.js";
import { type Authentication, Authenticator } from "./authenticator.js";
import { Connections, KEEP_ALIVE_MS } from "./connections.js";
import { DeletedFilesPurge } from "./deleted-files-purge.js";
import { ExactNames } from "./exact-names.js";
import { type ListenAddress, listenOptions, removeStaleSocket } from "./listen-address.js";
import { Metrics } from "./metrics.js";
import { type AccessMode, NO_POLICY, type Policy, PolicyKeeper } from "./policy.js";
import { loadPolicy, policyVersion } from "./policy-file.js";
import { GROUP_MODES, PRIVATE_MODES, RepositoryFiles } from "./repository-files.js";
import { RequestHandler } from "./request-handler.js";
import { StaleAlarms } from "./stale-alarms.js";
import { sweepTemporaries } from "./sweep-temporaries.js";
import { TransferMemory } from "./transfer-memory.js";
import { UsageLedger } from "./usage.js";

/** Bytes of bodies on their way, of all connections together. */
const TRANSFER_MEMORY = 4 * 1024 * 1024;

/** How often it is looked for heads of requests that take too long. */
const HEAD_CHECK_MS = 1_000;
/** Bytes of all headers of a request. */
const MAX_HEADER_BYTES = 16 * 1024;
/** How often leftovers of uploads are looked for. */
const SWEEP_EACH_MS = 24 * 60 * 60 * 1000;
/** How often a changed policy file is noticed. */
const POLICY_CHECK_MS = 5_000;

export interface ServeOptions {
  /** The folder below which the repositories lie. It must exist. */
  readonly dataFolder: string;
  readonly listen: ListenAddress;
  readonly tls?: TlsFiles | undefined;
  readonly authentication: Authentication;
  /** For everybody; `full` when left out. */
  readonly mode?: AccessMode | undefined;
  /** Bytes of the whole data folder. */
  readonly maxSize?: number | undefined;
  /** How long what clients delete is kept, milliseconds; not at all when left out. The policy file may say more. */
  readonly keepDeletedMs?: number | undefined;
  /** TOML, see `loadPolicy`; read again when it changes. */
  readonly policyFile?: string | undefined;
  readonly privateRepositories?: boolean | undefined;
  /** SHA-256 of each upload against its name; true when left out. */
  readonly verifyUploads?: boolean | undefined;
  /** Files of mode 0660 and folders of 0770 instead of 0600 and 0700. */
  readonly groupAccessible?: boolean | undefined;
  readonly metrics?: "off" | "with-password" | "open" | undefined;
  /** Gets a line in combined log format for each request. */
  readonly accessLog?: ((line: string) => void) | undefined;
  /** Uploads that bring fewer bytes a second, on average over the patience, are cut off; 64 when left out. */
  readonly minUploadRate?: number | undefined;
  /** Milliseconds; 30,000 when left out. */
  readonly uploadPatienceMs?: number | undefined;
  /** How long a client may take for the head of a request, milliseconds; 20,000 when left out. */
  readonly headPatienceMs?: number | undefined;
  /** How long requests under way are waited for at the end, milliseconds; 30,000 when left out. */
  readonly shutdownMs?: number | undefined;
  /** How often it is looked whether a repository is stale, milliseconds; a minute when left out. */
  readonly staleCheckMs?: number | undefined;
  /** How long the webhook for stale repositories may take, milliseconds; 10,000 when left out. */
  readonly staleDeadlineMs?: number | undefined;
  /** How often it is looked for deleted files whose time is over, milliseconds; an hour when left out. */
  readonly purgeEachMs?: number | undefined;
  /** Called now and then when many short-lived buffers were made; nothing when left out. */
  readonly collectGarbage?: (() => void) | undefined;
  /** What the owner of the server should know, one line each. */
  readonly onLog: (line: string) => void;
}

export interface TlsFiles {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly minVersion: SecureVersion;
}

/** A server that listens. */
export interface RunningServer {
  /** "http://127.0.0.1:8000", or the path of a socket. */
  readonly address: string;
  /** Reads passwords, policy and certificates again. */
  reload(): Promise<void>;
  /** Takes no more connections, waits for the requests under way, and cuts off those that take too long. */
  close(): Promise<void>;
}

/**
 * Serves repositories by restic's REST protocol.
 *
 * Memory does not grow with what is stored nor with the size of uploads: bodies on their way share
 * `TRANSFER_MEMORY`, a listing takes that of its largest folder.
 *
 * @throws {YoreError} when it cannot listen, or a file that it needs cannot be read
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const { dataFolder, authentication, onLog } = options;
  const policy = new PolicyWatch(options);
  await policy.load();
  const usage = new UsageLedger(dataFolder);
  const metrics =
    options.metrics && options.metrics !== "off" ? new Metrics(usage, policy.keeper) : undefined;
  const server = await createHttpServer(options);
  const slowBodies = { minRate: options.minUploadRate ?? 64, patienceMs: options.uploadPatienceMs ?? 30_000 };
  const connections = new Connections(server, metrics, slowBodies);
  const counted = usage.count(onLog);
  const handler = new RequestHandler({
    connections,
    files: new RepositoryFiles(dataFolder, options.groupAccessible ? GROUP_MODES : PRIVATE_MODES),
    names: new ExactNames(dataFolder),
    usage,
    counted,
    policy: policy.keeper,
    authenticator: new Authenticator(authentication),
    metrics,
    metricsWithoutPassword: options.metrics === "open",
    memory: new TransferMemory(TRANSFER_MEMORY, options.collectGarbage),
    privateRepositories: options.privateRepositories ?? false,
    verifyUploads: options.verifyUploads ?? true,
    slowBodies,
    accessLog: options.accessLog && new AccessLog(options.accessLog),
    onLog,
  });
  server.on("request", (request, response) => void handler.handle(request, response));
  const sweeper = sweepEachDay(dataFolder, onLog);
  const address = await listen(server, options.listen, options.tls !== undefined);
  const stopWatching = policy.watch();
  const alarms = new StaleAlarms({
    usage,
    policy: policy.keeper,
    onLog,
    checkEachMs: options.staleCheckMs,
    deadlineMs: options.staleDeadlineMs,
  });
  const purge = new DeletedFilesPurge({
    dataFolder,
    usage,
    counted,
    policy: policy.keeper,
    onLog,
    eachMs: options.purgeEachMs,
  });
  return {
    address,
    reload: async () => {
      if (authentication.kind === "passwords") await authentication.file.reload({ ifChanged: false });
      await policy.reload();
      if (options.tls) await reloadTls(server as TlsServer, options.tls, onLog);
    },
    close: async () => {
      stopWatching();
      alarms.stop();
      purge.stop();
      clearInterval(sweeper);
      await connections.close(options.shutdownMs ?? 30_000);
    },
  };
}

function sweepEachDay(dataFolder: string, onLog: (line: string) => void): NodeJS.Timeout {
  void sweepTemporaries(dataFolder, onLog);
  return setInterval(() => void sweepTemporaries(dataFolder, onLog), SWEEP_EACH_MS).unref();
}

/** The rules of the flags and of the file together. */
class PolicyWatch {
  readonly #options: ServeOptions;
  readonly keeper: PolicyKeeper;
  #version = "";
  /** How often it was begun to read the file, and at which of these times it was read what counts. */
  #begun = 0;
  #counts = 0;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.keeper = new PolicyKeeper(this.#combine(NO_POLICY));
  }

  async load(): Promise<void> {
    const { policyFile } = this.#options;
    if (policyFile === undefined) return;
    const turn = ++this.#begun;
    const loaded = await loadPolicy(policyFile, this.#version === "");
    // What was read from a slow disk may be older than what has been read since.
    if (turn < this.#counts) return;
    this.#counts = turn;
    this.#version = loaded.version;
    this.keeper.replace(this.#combine(loaded.policy));
  }

  /** Keeps what there is when the file cannot be read. @returns false when it will not be until it changes */
  async reload(): Promise<boolean> {
    try {
      await this.load();
      return true;
    } catch (error) {
      this.#options.onLog(`${messageOf(error)}; the rules loaded before stay valid`);
      // For want of a descriptor, say.
      return systemCodeOf(error) !== undefined;
    }
  }

  /** @returns what stops it */
  watch(): () => void {
    const { policyFile } = this.#options;
    if (policyFile === undefined) return () => {};
    // What is wrong in a file is told once; what could not be read may be the next time.
    let wrong = "";
    const timer = setInterval(async () => {
      const version = await policyVersion(policyFile).catch(() => "");
      // Another load, of a signal, may have begun before the file was written, and end after one that knew it.
      if (version === "" || version === wrong || version === this.#version) return;
      wrong = version;
      if (await this.reload()) wrong = "";
    }, POLICY_CHECK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  #combine(policy: Policy): Policy {
    const { mode, maxSize, keepDeletedMs } = this.#options;
    return { ...policy, everybody: [{ mode, quota: maxSize, keepDeletedMs }, ...policy.everybody] };
  }
}

async function createHttpServer({ tls, headPatienceMs, onLog }: ServeOptions): Promise<Server | TlsServer> {
  const http = {
    headersTimeout: headPatienceMs ?? 20_000,
    connectionsCheckingInterval: HEAD_CHECK_MS,
    // Bodies have a watch of their own, which a long upload over a slow line passes.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const server = tls ? createTlsServer({ ...http, ...(await readTls(tls)) }) : createServer(http);
  // Without a listener the body is asked for at once, also when the answer is no: the handler asks.
  server.on("checkContinue", (request, response) => server.emit("request", request, response));
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    refuseGarbage(error, socket, onLog);
  });
  return server;
}

/** What is no HTTP never becomes a request: it is answered here, and the connection ends. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket, onLog: (line: string) => void): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  onLog(`refused what ${socket.remoteAddress} sent: ${error.message} (${error.code})`);
  const status = STATUS_OF_GARBAGE.get(error.code ?? "") ?? "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

const STATUS_OF_GARBAGE: ReadonlyMap<string, string> = new Map([
  ["HPE_HEADER_OVERFLOW", "431 Request Header Fields Too Large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "408 Request Timeout"],
]);

async function readTls({ certificate, key, minVersion }: TlsFiles): Promise<TlsOptions> {
  const read = async (path: string) => {
    try {
      return await readFile(path);
    } catch (error) {
      throw new YoreError("backend", `Cannot read TLS file "${path}": ${messageOf(error)}`, { cause: error });
    }
  };
  return { cert: await read(certificate), key: await read(key), minVersion };
}

async function reloadTls(server: TlsServer, tls: TlsFiles, onLog: (line: string) => void): Promise<void> {
  try {
    server.setSecureContext(await readTls(tls));
  } catch (error) {
    onLog(`${messageOf(error)}; the certificate loaded before stays valid`);
  }
}

async function listen(server: Server, address: ListenAddress, isTls: boolean): Promise<string> {
  if (address.kind === "unix") await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(new YoreError("backend", `Cannot listen: ${messageOf(error)}`, { cause: error })),
    );
    server.listen(listenOptions(address), resolve);
  });
  if (address.kind === "unix") return address.path;
  const bound = server.address() as AddressInfo | string | null;
  if (typeof bound !== "object" || bound === null) return String(bound);
  const host = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
  return `${isTls ? "https" : "http"}://${host}:${bound.port}`;
}
