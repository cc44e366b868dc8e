/**
 * Answers directories before they are asked for, while a walk through the tree goes on. The walker and the server take
 * turns otherwise: each waits while the other works. `find -ls` over 79,000 files is half the kernel's and find's own
 * work, and the server does its half meanwhile.
 */

import { encodeDirectory } from "./directory-reply.js";
import type { DirectoryListing, Filesystem, NodeId } from "./filesystem.js";
import { Size } from "./kernel-abi.js";
import { type KernelPort, LeftOfPrepared, PREPARED_SLOTS } from "./kernel-port.js";
import { streamOf } from "./listing-cache.js";
import { MAX_DIRECTORY_BYTES, ReplyBuffer } from "./reply-buffer.js";
import { UpcomingDirectories } from "./upcoming-directories.js";

/** Guesses in a row before anything is prepared: somebody who looks at one directory does not pay for others. */
const MIN_STREAK = 4;
/** How far ahead. */
const AHEAD = 3;
/** What nobody asked for within so long is given back, milliseconds. */
const KEEP_MS = 2_000;

/** A directory whose listing is being prepared, is ready, was taken, or cannot be prepared. */
interface Prepared {
  readonly node: NodeId;
  readonly slot: number;
  state: "loading" | "ready" | "taken" | "impossible";
  handedOut: readonly NodeId[];
  directories: readonly NodeId[];
  /** One reply has all of it. */
  isWhole: boolean;
}

/**
 * Memory, in the port: for each of AHEAD and two more slots one reply of at most 128 KiB and the contents that go with it,
 * which are the filesystem's to bound.
 */
export class PreparedListings {
  readonly #filesystem: Filesystem;
  readonly #port: KernelPort;
  readonly #upcoming = new UpcomingDirectories();
  readonly #slots: (Prepared | undefined)[] = new Array(Math.min(AHEAD + 2, PREPARED_SLOTS)).fill(undefined);
  readonly #reply = new ReplyBuffer();
  /** Directories that were listed to their end, which the filesystem is told of when nobody is waiting. */
  readonly #listed: NodeId[] = [];
  /** Room that the last walker had, bytes. */
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the walk went on since `goOn` looked: most requests are for the content of files. */
  #hasMoved = false;

  constructor(filesystem: Filesystem, port: KernelPort) {
    this.#filesystem = filesystem;
    this.#port = port;
  }

  /** The beginning of a directory was sent. @param size room that the kernel had */
  onListed(node: NodeId, size: number, directories: readonly NodeId[]): void {
    this.#hasMoved = true;
    this.#size = Math.min(size, MAX_DIRECTORY_BYTES);
    this.#upcoming.onListed(node, directories);
    if (this.#upcoming.streak === 0) this.#withdrawAll();
  }

  onMore(node: NodeId, directories: readonly NodeId[]): void {
    this.#hasMoved = true;
    this.#upcoming.onMore(node, directories);
  }

  /** Somebody has got all of a directory, and its kernel knows of what is in it. */
  onEnd(node: NodeId): void {
    this.#listed.push(node);
  }

  /** Bits of the slots whose replies the kernel took, and of those that it refused. */
  onSent(answered: number, refused: number): void {
    if ((answered | refused) === 0) return;
    this.#hasMoved = true;
    for (const prepared of this.#slots) {
      if (!prepared) continue;
      const bit = 1 << prepared.slot;
      if (answered & bit) {
        prepared.state = "taken";
        if (prepared.isWhole) this.#listed.push(prepared.node);
        this.#upcoming.onListed(prepared.node, prepared.directories);
      } else if (refused & bit) {
        this.#slots[prepared.slot] = undefined;
        this.#giveBack(prepared.handedOut);
      }
    }
  }

  /** Prepares what comes next. To be called when nobody is waiting. */
  goOn(): void {
    for (const node of this.#listed.splice(0)) this.#filesystem.listed?.(node);
    if (!this.#hasMoved || this.#upcoming.streak < MIN_STREAK) return;
    this.#hasMoved = false;
    for (let i = 0; i < AHEAD; i++) {
      const next = this.#upcoming.next(AHEAD, (node) => this.#ready(node)?.directories);
      const node = next.find((one) => !this.#of(one));
      if (node === undefined || !this.#prepare(node, next)) break;
    }
    this.#timer ??= setTimeout(() => this.#withdrawAll(), KEEP_MS).unref();
    this.#timer.refresh();
  }

  /** The connection has ended. */
  close(): void {
    clearTimeout(this.#timer);
    this.#slots.fill(undefined);
  }

  #of(node: NodeId): Prepared | undefined {
    return this.#slots.find((prepared) => prepared?.node === node);
  }

  #ready(node: NodeId): Prepared | undefined {
    const prepared = this.#of(node);
    return prepared?.state === "ready" ? prepared : undefined;
  }

  /** @returns whether it is ready at once */
  #prepare(node: NodeId, wanted: readonly NodeId[]): boolean {
    const slot = this.#freeSlot(wanted);
    if (slot < 0) return false;
    const prepared: Prepared = {
      node,
      slot,
      state: "loading",
      handedOut: [],
      directories: [],
      isWhole: false,
    };
    this.#slots[slot] = prepared;
    try {
      const listing = this.#filesystem.list(node);
      if (listing instanceof Promise) {
        // The kernel may have forgotten the directory before its listing has come.
        listing.then((loaded) => this.#fill(prepared, loaded)).catch(() => this.#giveUp(prepared));
        return false;
      }
      this.#fill(prepared, listing);
    } catch {
      this.#giveUp(prepared);
    }
    return prepared.state === "ready";
  }

  /** A slot that is not in use, or holds what nobody will ask for any more. */
  #freeSlot(wanted: readonly NodeId[]): number {
    const free = this.#slots.indexOf(undefined);
    if (free >= 0) return free;
    const dispensable = this.#slots.findIndex((prepared) => !wanted.includes(prepared!.node));
    if (dispensable >= 0) this.#withdraw(dispensable);
    return dispensable;
  }

  #fill(prepared: Prepared, listing: DirectoryListing): void {
    // It may have been withdrawn while it was loaded.
    if (this.#slots[prepared.slot] !== prepared) return;
    if (listing.changeable) {
      this.#giveUp(prepared);
      return;
    }
    const { node, slot } = prepared;
    let isSound = true;
    this.#reply.begin();
    const written = encodeDirectory(this.#reply, streamOf(this.#filesystem, node, listing, 0), {
      position: 0,
      size: this.#size,
      plus: true,
      onProblem: () => {
        isSound = false;
      },
    });
    if (!isSound) {
      this.#giveBack(written.handedOut);
      this.#giveUp(prepared);
      return;
    }
    prepared.handedOut = written.handedOut;
    prepared.directories = written.directories;
    prepared.state = "ready";
    prepared.isWhole = written.position === listing.length + 2;
    const end = prepared.isWhole ? written.position : 0;
    const body = this.#reply.bytes.subarray(Size.OUT_HEADER, this.#reply.length);
    const files = prepared.isWhole ? this.#filesystem.contentsAhead?.(node) : undefined;
    this.#port.prepare(slot, { node, size: this.#size, body, end, files });
  }

  /** Whoever asks for it gets the error. */
  #giveUp(prepared: Prepared): void {
    prepared.state = "impossible";
  }

  #withdrawAll(): void {
    for (const slot of this.#slots.keys()) this.#withdraw(slot);
  }

  #withdraw(slot: number): void {
    const prepared = this.#slots[slot];
    this.#slots[slot] = undefined;
    if (!prepared || (prepared.state !== "ready" && prepared.state !== "taken")) return;
    // What was taken since this was last told of belongs to the kernel.
    if (this.#port.withdraw(slot) === LeftOfPrepared.ALL) this.#giveBack(prepared.handedOut);
  }

  #giveBack(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#filesystem.forget(node, 1);
  }
}
