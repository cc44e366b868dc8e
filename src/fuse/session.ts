import { awaitedLater } from "../async/awaited-later.js";
import { messageOf, YoreError } from "../errors.js";
import { DeferredNotifier } from "./deferred-notifier.js";
import { Errno, errnoName } from "./errno.js";
import { FailureLog } from "./failure-log.js";
import type { Answer, Filesystem } from "./filesystem.js";
import {
  FUSE_MAJOR,
  FUSE_MIN_MINOR,
  FUSE_MINOR,
  InitFlag,
  MAX_PAGES,
  MAX_WRITE_BYTES,
  REQUEST_BYTES,
  Size,
} from "./kernel-abi.js";
import type { KernelPort } from "./kernel-port.js";
import { KernelRequest } from "./kernel-request.js";
import { ListingCache } from "./listing-cache.js";
import { type Operation, type OperationContext, operationOf } from "./operations.js";
import { PendingReplies } from "./pending-replies.js";
import { PreparedListings } from "./prepared-listings.js";
import { Reply } from "./reply.js";
import { ReplyBuffer } from "./reply-buffer.js";

/** Requests that are read in one wake-up. */
const SLOTS = 16;

/**
 * Slow reads beyond this many would hold up those of other files: the kernel's default of 12 does, as a mount with one
 * slow backend shows. CONGESTION at three quarters is the kernel's own rule.
 */
const MAX_BACKGROUND = 64;
const CONGESTION = 48;

/**
 * Granted when the kernel offers it. DO_READDIRPLUS without READDIRPLUS_AUTO, which makes `find` ten times slower. Not
 * ASYNC_DIO: with it the kernel waits for direct reads in a way that no signal interrupts.
 */
const WANTED =
  InitFlag.ASYNC_READ |
  InitFlag.EXPORT_SUPPORT |
  InitFlag.DO_READDIRPLUS |
  InitFlag.PARALLEL_DIROPS |
  InitFlag.NO_OPEN_SUPPORT |
  InitFlag.NO_OPENDIR_SUPPORT |
  InitFlag.MAX_PAGES |
  InitFlag.CACHE_SYMLINKS |
  InitFlag.EXPLICIT_INVAL_DATA;

const WITHOUT_OPEN = InitFlag.NO_OPEN_SUPPORT | InitFlag.NO_OPENDIR_SUPPORT;

export interface SessionOptions {
  /** For each answer of its own, milliseconds. */
  readonly readDeadlineMs: number;
  /** The kernel reads ACLs where it checks permissions. */
  readonly posixAcls: boolean;
  /** One line for each failed request, without a newline at its end. */
  readonly onLog: ((line: string) => void) | undefined;
}

/**
 * One connection with the kernel: takes requests out of the buffer, has them handled, and sees to it that each gets
 * exactly one reply. It knows neither descriptors nor mountpoints.
 */
export class Session {
  /** Where the port puts requests, one in each slot of REQUEST_BYTES. */
  readonly requests: Buffer = Buffer.from(new ArrayBuffer(SLOTS * REQUEST_BYTES));
  /** Whose beginning the port sends. */
  readonly replies: ReplyBuffer = new ReplyBuffer();
  /** Resolves when the kernel listens; rejects when it never will. */
  readonly ready: Promise<void>;
  /** Resolves when the kernel has let go, with the errno that ended the connection. */
  readonly ended: Promise<number>;

  readonly #options: SessionOptions;
  readonly #filesystem: Filesystem;
  readonly #log: FailureLog;
  readonly #request: KernelRequest;
  readonly #pending: PendingReplies;
  readonly #notifier: DeferredNotifier;
  readonly #prepared: PreparedListings;
  readonly #operations: OperationContext & { withoutOpen: boolean };
  /** The reply of the next request; a request whose answer is a promise keeps its own. */
  #reply: Reply;
  #newReply: () => Reply;
  #becomeReady!: () => void;
  #neverReady!: (error: YoreError) => void;
  #end!: (errno: number) => void;

  constructor(filesystem: Filesystem, port: KernelPort, options: SessionOptions) {
    this.#options = options;
    this.#filesystem = filesystem;
    this.#log = new FailureLog({ onLog: options.onLog });
    this.#request = new KernelRequest(this.requests);
    this.#notifier = new DeferredNotifier(port, (node) => this.#pending.isPending(node));
    this.#pending = new PendingReplies({
      deadlineMs: options.readDeadlineMs,
      onSettled: (node) => this.#notifier.onSettled(node),
    });
    this.#prepared = new PreparedListings(filesystem, port);
    this.#operations = {
      filesystem,
      prepared: this.#prepared,
      listings: new ListingCache(filesystem),
      withoutOpen: false,
      initialise: (request, reply) => this.#initialise(request, reply),
      interrupt: (low, high) => this.#pending.interrupt(`${high}:${low}`),
    };
    const context = { port, buffer: this.replies, filesystem, log: this.#log };
    this.#newReply = () => new Reply(context);
    this.#reply = this.#newReply();
    const ready = new Promise<void>((resolve, reject) => {
      this.#becomeReady = resolve;
      this.#neverReady = reject;
    });
    this.ready = awaitedLater(ready);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /**
   * So many requests lie in the first slots, and these prepared replies were sent (see PreparedListings). Never throws.
   */
  onRequests(count: number, answered = 0, refused = 0): void {
    this.#prepared.onSent(answered, refused);
    for (let slot = 0; slot < count; slot++) {
      try {
        this.#request.select(slot);
        this.#serve(operationOf(this.#request.opcode));
      } catch (error) {
        this.#log.write(`A request could not be served: ${messageOf(error)}`);
      }
    }
    this.#prepared.goOn();
  }

  /**
   * Answers everything that is pending with EIO. While a file system is unmounted the kernel waits for the pages that
   * are being read, though no program uses them any more.
   */
  giveUpPending(): void {
    this.#pending.failAll(new YoreError("interrupted", "Unmounted"));
  }

  /** The connection has ended. */
  onEnd(errno: number): void {
    this.#notifier.close();
    this.#prepared.close();
    this.#pending.abandonAll(new YoreError("interrupted", "Unmounted"));
    this.#neverReady(
      new YoreError("mount", `Cannot mount: the kernel ended the connection (${errnoName(errno)})`),
    );
    this.#end(errno);
  }

  #serve(operation: Operation): void {
    const reply = this.#reply;
    reply.begin(this.#request, operation.name);
    let outcome: Answer<void>;
    try {
      if (this.#request.bodyLength < operation.minBodyBytes)
        throw new YoreError("usage", `The request has only ${this.#request.bodyLength} bytes`);
      outcome = operation.handle(this.#operations, this.#request, reply);
    } catch (error) {
      if (operation.isSilent) this.#log.write(`${operation.name} failed: ${messageOf(error)}`);
      else reply.fail(error);
      return;
    }
    if (operation.isSilent) return;
    if (outcome instanceof Promise) this.#await(reply, outcome);
    else this.#conclude(reply);
  }

  #await(reply: Reply, outcome: Promise<void>): void {
    this.#reply = this.#newReply();
    this.#pending.add(reply);
    outcome.then(
      () => this.#conclude(reply),
      (error: unknown) => {
        reply.fail(error);
        this.#conclude(reply);
      },
    );
  }

  /** Whatever a handler forgot, its caller is not left waiting. */
  #conclude(reply: Reply): void {
    if (!reply.answered) reply.fail(new Error("The handler did not reply"));
    this.#pending.settle(reply);
  }

  /**
   * fuse_init_in: major, minor, max_readahead, flags u32. fuse_init_out: the same, then max_background and
   * congestion_threshold u16, max_write and time_gran u32, max_pages u16.
   */
  #initialise(request: KernelRequest, reply: Reply): void {
    const major = request.u32(0);
    const minor = request.u32(4);
    const maxReadahead = request.u32(8);
    const offered = request.u32(12);
    if (major > FUSE_MAJOR) {
      this.#proposeOurMajor(reply);
      return;
    }
    if (major < FUSE_MAJOR || minor < FUSE_MIN_MINOR) {
      reply.error(Errno.EPROTO);
      this.#neverReady(tooOld(major, minor));
      return;
    }
    const wanted = WANTED | (this.#options.posixAcls ? InitFlag.POSIX_ACL : 0);
    const granted = offered & wanted;
    this.#operations.withoutOpen = (granted & WITHOUT_OPEN) === WITHOUT_OPEN;
    const isTaken = reply.body((buffer) => {
      const at = buffer.take(Size.INIT_OUT);
      buffer.setU32(at, FUSE_MAJOR);
      buffer.setU32(at + 4, Math.min(minor, FUSE_MINOR));
      buffer.setU32(at + 8, maxReadahead);
      buffer.setU32(at + 12, granted);
      buffer.setU16(at + 16, MAX_BACKGROUND);
      buffer.setU16(at + 18, CONGESTION);
      buffer.setU32(at + 20, MAX_WRITE_BYTES);
      buffer.setU32(at + 24, 1); // Times are exact to the nanosecond.
      buffer.setU16(at + 28, MAX_PAGES);
    });
    if (isTaken) {
      this.#filesystem.start(this.#notifier);
      this.#becomeReady();
    } else {
      this.#neverReady(new YoreError("mount", "Cannot mount: the kernel refused the reply to INIT"));
    }
  }

  /** A later kernel sends INIT again with a version that it is told. */
  #proposeOurMajor(reply: Reply): void {
    reply.body((buffer) => {
      const at = buffer.take(Size.INIT_OUT);
      buffer.setU32(at, FUSE_MAJOR);
      buffer.setU32(at + 4, FUSE_MINOR);
    });
  }
}

function tooOld(major: number, minor: number): YoreError {
  const needed = `${FUSE_MAJOR}.${FUSE_MIN_MINOR}`;
  return new YoreError(
    "mount",
    `Cannot mount: the kernel speaks FUSE ${major}.${minor}, ${needed} is needed`,
    {
      hint: "Linux 5.2 or later has it",
    },
  );
}
