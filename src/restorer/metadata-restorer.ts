import { existsSync } from "node:fs";
import { type ErrorCode, messageOf, YoreError } from "../errors.js";
import type { TreeNode } from "../format/node.js";
import { textBytes } from "../patterns/mod.js";
import type { AccountNames } from "./account-names.js";
import type { FileCall, FileCallFailure } from "./file-call.js";
import { FileCallQueue } from "./file-call-queue.js";
import { createCall, metadataCalls } from "./node-calls.js";
import { parentOf, type TargetFolder } from "./target-folder.js";

/** What failed for want of a feature of the file system; said once for each of its kinds, not for each file. */
const NOT_SUPPORTED = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
/** Rescue systems may lack it. The addon does without where the kernel has another way. */
const WITHOUT_PROC = "it takes /proc, which is not mounted";
/** What only root may do; whoever is not root does not expect it. */
const NOT_PERMITTED = new Set(["EPERM", "EACCES"]);

const VERBS: Readonly<Record<FileCall["kind"], string>> = {
  directory: "enter the folder",
  write: "write",
  folder: "make the folder",
  symlink: "make the symbolic link",
  node: "make the special file",
  link: "make the hard link",
  owner: "change the owner of",
  "set-xattr": "set an extended attribute of",
  "keep-xattrs": "remove the extended attributes of",
  times: "set the times of",
  mode: "set the mode of",
  remove: "remove",
};

export interface MetadataWatch {
  onDone(location: string): void;
  onError(location: string, error: YoreError): void;
  onWarning(location: string, error: YoreError): void;
}

export interface MetadataRestorerOptions {
  readonly accounts: AccountNames | undefined;
  readonly selectXattr: ((name: string) => boolean) | undefined;
}

/** Makes what has no content (links, devices, fifos), and gives everything its owner, attributes, times and mode. */
export class MetadataRestorer {
  readonly #target: TargetFolder;
  readonly #options: MetadataRestorerOptions;
  readonly #watch: MetadataWatch;
  readonly #queue: FileCallQueue<string>;
  readonly #saidOnce = new Set<string>();
  /** Locations of the batch under way where making the thing failed. */
  readonly #failed = new Set<string>();
  /** What was found gone last: all that is done to one thing comes in a row. */
  #gone: string | undefined;
  /** Attributes of one thing that could not be set, all for the same reason, and of which nothing has been said yet. */
  #unset: { location: string; failure: FileCallFailure; attributes: string[] } | undefined;
  readonly #tellUnset = () => {
    if (!this.#unset) return;
    const { location, failure, attributes } = this.#unset;
    this.#unset = undefined;
    this.#warn(location, failure, unsetWords(location, attributes));
  };

  constructor(target: TargetFolder, options: MetadataRestorerOptions, watch: MetadataWatch) {
    this.#target = target;
    this.#options = options;
    this.#watch = watch;
    this.#queue = new FileCallQueue(target.calls, (failure, call, location) =>
      this.#onFailure(failure, call, location),
    );
  }

  /** Makes a node that is neither file nor folder, metadata included. */
  async make(node: TreeNode, location: string): Promise<void> {
    this.#add(location, createCall(node, nameOf(location)));
    await this.#addMetadata(node, location);
    this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Makes another name of a file that was restored before. */
  async link(node: TreeNode, location: string, first: string): Promise<void> {
    const name = nameOf(location);
    this.#add(location, { kind: "link", name, source: this.#target.relative(first) });
    await this.#addMetadata(node, location);
    this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Only the metadata, of a file or folder that is there. */
  async apply(node: TreeNode, location: string): Promise<void> {
    await this.#addMetadata(node, location);
    if (node.type === "dir") this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Removes what is there, with all below it; calls back once that is done. */
  async remove(location: string, onRemoved: () => void): Promise<void> {
    this.#add(location, { kind: "remove", name: nameOf(location) });
    this.#queue.afterwards(() => {
      if (!this.#failed.delete(location)) onRemoved();
    });
    await this.#sendIfFull();
  }

  async finish(): Promise<void> {
    await this.#queue.drain();
  }

  async #addMetadata(node: TreeNode, location: string): Promise<void> {
    const { accounts, selectXattr } = this.#options;
    // With a selection, what is there has to be known before it can be said what is kept: also of a link, which may stay.
    const presentXattrs = selectXattr ? await this.#target.listXattrs(location) : undefined;
    const options = { accounts, selectXattr, presentXattrs };
    for (const call of metadataCalls(node, nameOf(location), options))
      if (this.#target.isNative || !call.kind.endsWith("xattrs")) this.#add(location, call);
    if (node.extendedAttributes.length > 0) this.#queue.afterwards(this.#tellUnset);
  }

  #add(location: string, call: FileCall): void {
    this.#queue.add(this.#target.folder(parentOf(location)), call, location);
  }

  #tellWhenDone(location: string): void {
    this.#queue.afterwards(() => {
      if (!this.#failed.delete(location)) this.#watch.onDone(location);
    });
  }

  async #sendIfFull(): Promise<void> {
    if (this.#queue.isFull) await this.#queue.send();
  }

  #onFailure(failure: FileCallFailure, call: FileCall, location: string): void {
    const { code } = failure;
    const isMaking = ["directory", "symlink", "node", "link", "remove"].includes(call.kind);
    const what = call.kind === "directory" ? parentOf(location) : location;
    const beginning = `Cannot ${VERBS[call.kind]} "${what}"`;
    if (isMaking) {
      this.#failed.add(location);
      const message = `${beginning}: ${wordsOf(failure)}`;
      this.#watch.onError(
        location,
        new YoreError(errorCodeOf(code), message, { cause: systemError(failure) }),
      );
      return;
    }
    if (code === "ENOENT") {
      this.#onGone(location, systemError(failure));
      return;
    }
    const isRoot = process.geteuid?.() === 0;
    if (!isRoot && NOT_PERMITTED.has(code)) return;
    if (NOT_SUPPORTED.has(code)) {
      const kind = `${call.kind} ${call.kind === "set-xattr" ? call.attribute.split(".", 1)[0] : ""}`;
      if (this.#saidOnce.has(kind)) return;
      this.#saidOnce.add(kind);
    }
    if (call.kind === "set-xattr") this.#addUnset(location, failure, call.attribute);
    else this.#warn(location, failure, beginning);
  }

  #addUnset(location: string, failure: FileCallFailure, attribute: string): void {
    if (this.#unset?.location !== location || this.#unset.failure.code !== failure.code) this.#tellUnset();
    this.#unset ??= { location, failure, attributes: [] };
    this.#unset.attributes.push(attribute);
  }

  #warn(location: string, failure: FileCallFailure, beginning: string): void {
    const message = `${beginning}: ${wordsOf(failure)}`;
    this.#watch.onWarning(location, new YoreError("backend", message, { cause: systemError(failure) }));
  }

  /** What was made, or written, is not there any more. */
  #onGone(location: string, cause: Error): void {
    if (this.#gone === location) return;
    this.#gone = location;
    this.#failed.add(location);
    const message = `Cannot restore "${location}": somebody else has removed or renamed it`;
    this.#watch.onError(location, new YoreError("backend", message, { cause }));
  }
}

/** Attributes that a message names. */
const SHOWN_ATTRIBUTES = 10;

function unsetWords(location: string, attributes: readonly string[]): string {
  if (attributes.length === 1) return `Cannot ${VERBS["set-xattr"]} "${location}": ${attributes[0]}`;
  const shown = attributes.slice(0, SHOWN_ATTRIBUTES).join(", ");
  const more = attributes.length - SHOWN_ATTRIBUTES;
  const named = more > 0 ? `${shown} and ${more} more` : shown;
  return `Cannot set ${attributes.length} extended attributes of "${location}": ${named}`;
}

function wordsOf({ code, reason }: FileCallFailure): string {
  return code === "ENOSYS" && !existsSync("/proc/self/fd") ? WITHOUT_PROC : reason;
}

function systemError({ code, reason }: FileCallFailure): Error {
  return Object.assign(new Error(reason), { code });
}

function errorCodeOf(code: string): ErrorCode {
  return code === "ENOSPC" || code === "EDQUOT" ? "no-space" : "backend";
}

function nameOf(location: string): Buffer {
  return textBytes(location.slice(location.lastIndexOf("/") + 1));
}

/** The error of a restore for whatever was thrown. */
export function asRestoreError(location: string, error: unknown): YoreError {
  if (error instanceof YoreError) return error;
  return new YoreError("backend", `Cannot restore "${location}": ${messageOf(error)}`, { cause: error });
}
