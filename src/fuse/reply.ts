import { messageOf, YoreError } from "../errors.js";
import { encodeDirectory, type WrittenRecords } from "./directory-reply.js";
import { Errno, errnoName, errnoOf } from "./errno.js";
import type { FailureLog } from "./failure-log.js";
import {
  type Absent,
  type Attributes,
  type Entry,
  type Filesystem,
  type FilesystemStatistics,
  isEntry,
  type NodeId,
  ToldError,
} from "./filesystem.js";
import type { KernelPort } from "./kernel-port.js";
import type { KernelRequest } from "./kernel-request.js";
import type { DirectoryStream } from "./listing-cache.js";
import { MAX_DIRECTORY_BYTES, type ReplyBuffer } from "./reply-buffer.js";

/** writev(2) takes 1024 pieces, and one is the header. */
const MAX_PIECES = 1023;

export interface ReplyContext {
  readonly port: KernelPort;
  readonly buffer: ReplyBuffer;
  readonly filesystem: Filesystem;
  readonly log: FailureLog;
}

/**
 * The one reply that a request gets. Whatever comes second (the answer after the deadline, an error after the answer)
 * is dropped here, and what it handed out is given back: the kernel counts only the entries that it received.
 */
export class Reply {
  readonly #context: ReplyContext;
  #uniqueLow = 0;
  #uniqueHigh = 0;
  #answered = true;
  #controller: AbortController | undefined;
  #operation = "";
  #detail = "";
  node = 0 as NodeId;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  /** Becomes the reply of another request. */
  begin(request: KernelRequest, operation: string): void {
    this.#uniqueLow = request.uniqueLow;
    this.#uniqueHigh = request.uniqueHigh;
    this.#answered = false;
    this.#controller = undefined;
    this.#operation = operation;
    this.#detail = "";
    this.node = request.node;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** The request, for INTERRUPT to find it. */
  get key(): string {
    return `${this.#uniqueHigh}:${this.#uniqueLow}`;
  }

  /** Fires when nobody waits for the answer any more: deadline, interruption, unmount. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** What the log says about the request besides operation and node, such as a range. */
  describe(detail: string): void {
    this.#detail = detail;
  }

  empty(): void {
    this.#send(() => {});
  }

  entry(found: Entry | Absent): void {
    if (isEntry(found)) {
      if (!this.#send((buffer) => buffer.entry(found))) this.#giveBack([found.nodeId]);
    } else if (found.ttlMs > 0) {
      this.#send((buffer) => buffer.absence(found.ttlMs));
    } else {
      // Without a time to live the kernel must not remember the absence, and an entry would make it do so.
      this.error(Errno.ENOENT);
    }
  }

  attributes(attributes: Attributes, ttlMs: number): void {
    this.#send((buffer) => buffer.attributes(attributes, ttlMs));
  }

  statistics(statistics: FilesystemStatistics): void {
    this.#send((buffer) => buffer.statistics(statistics));
  }

  u64(value: number): void {
    this.#send((buffer) => buffer.u64(value));
  }

  /** Any body that the caller encodes. @returns whether the kernel took it */
  body(encode: (buffer: ReplyBuffer) => void): boolean {
    return this.#send(encode);
  }

  /** Bytes that may be longer than the buffer: file content, link targets, attribute values. */
  bytes(pieces: readonly Uint8Array[]): void {
    if (this.#answered) return;
    const { buffer, port } = this.#context;
    let length = 0;
    for (const piece of pieces) length += piece.length;
    const sent = pieces.length <= MAX_PIECES ? pieces : [Buffer.concat(pieces)];
    buffer.begin();
    buffer.header(this.#uniqueLow, this.#uniqueHigh, 0, length);
    this.#answered = true;
    this.#check(length === 0 ? port.reply(buffer.length) : port.replyWithPieces(buffer.length, sent));
  }

  /** A stretch of a directory. @returns what the kernel has got; `undefined` when it took nothing */
  directory(
    stream: DirectoryStream,
    position: number,
    size: number,
    plus: boolean,
  ): WrittenRecords | undefined {
    if (this.#answered) return undefined;
    let written: WrittenRecords | undefined;
    const sent = this.#send((buffer) => {
      written = encodeDirectory(buffer, stream, {
        position,
        size: Math.min(size, MAX_DIRECTORY_BYTES),
        plus,
        onProblem: (at, problem) => this.#logFailure(`entry ${at}: ${messageOf(problem)}`),
      });
    });
    if (sent) return written;
    if (written) this.#giveBack(written.handedOut);
    return undefined;
  }

  error(errno: number): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#writeError(errno);
  }

  /** Anything that was thrown: a log line, and its errno. */
  fail(error: unknown): void {
    if (this.#answered) return;
    const errno = errnoOf(error);
    // An absent name or attribute is an answer, and nobody wants to read of work that its caller has given up.
    const isAnswer = errno === Errno.ENOENT || errno === Errno.ENOTSUP || errno === Errno.EINTR;
    if (!(error instanceof ToldError) && (!isAnswer || !(error instanceof YoreError)))
      this.#logFailure(`${messageOf(error)} (${errnoName(errno)})`);
    this.error(errno);
  }

  /** The deadline has passed. */
  expire(deadlineMs: number): void {
    if (this.#answered) return;
    const late = new YoreError("timeout", `No answer within ${deadlineMs / 1000} s`);
    this.fail(late);
    this.#controller?.abort(late);
  }

  /** Its caller has been interrupted. */
  interrupt(): void {
    if (this.#answered) return;
    this.error(Errno.EINTR);
    this.#controller?.abort(new YoreError("interrupted", "Interrupted by a signal to the reading program"));
  }

  /** Nobody waits for the answer, but the kernel wants a reply. */
  giveUp(reason: YoreError): void {
    if (this.#answered) return;
    this.error(Errno.EIO);
    this.#controller?.abort(reason);
  }

  /** The connection has ended: nobody to reply to. */
  abandon(reason: YoreError): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#controller?.abort(reason);
  }

  #send(encode: (buffer: ReplyBuffer) => void): boolean {
    if (this.#answered) return false;
    const { buffer, port } = this.#context;
    buffer.begin();
    encode(buffer);
    buffer.header(this.#uniqueLow, this.#uniqueHigh, 0, buffer.length - 16);
    this.#answered = true;
    return this.#check(port.reply(buffer.length));
  }

  /**
   * Looks at what the kernel said to a reply. ENOENT: the request was aborted meanwhile. Anything else means that the
   * reply was refused, and that its caller would wait for ever if it got no other.
   */
  #check(errno: number): boolean {
    if (errno === 0) return true;
    if (errno !== Errno.ENOENT && errno !== Errno.ENODEV) {
      this.#logFailure(`the kernel refused the reply (${errnoName(errno)})`);
      this.#writeError(Errno.EIO);
    }
    return false;
  }

  #writeError(errno: number): void {
    const { buffer, port } = this.#context;
    buffer.begin();
    buffer.header(this.#uniqueLow, this.#uniqueHigh, errno, 0);
    port.reply(buffer.length);
  }

  #giveBack(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#context.filesystem.forget(node, 1);
  }

  #logFailure(problem: string): void {
    const detail = this.#detail && `, ${this.#detail}`;
    this.#context.log.write(`${this.#operation} of node ${this.node}${detail} failed: ${problem}`);
  }
}
