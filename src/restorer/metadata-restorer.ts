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
    await this.#addMetadata(node, location, true);
    this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Makes another name of a file that was restored before. */
  async link(node: TreeNode, location: string, first: string): Promise<void> {
    const name = nameOf(location);
    this.#add(location, { kind: "link", name, source: this.#target.relative(first) });
    await this.#addMetadata(node, location, false);
    this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Only the metadata, of a file or folder that is there. */
  async apply(node: TreeNode, location: string): Promise<void> {
    await this.#addMetadata(node, location, false);
    if (node.type === "dir") this.#tellWhenDone(location);
    await this.#sendIfFull();
  }

  /** Removes what is there, with all below it. */
  remove(location: string): void {
    this.#add(location, { kind: "remove", name: nameOf(location) });
  }

  async finish(): Promise<void> {
    await this.#queue.drain();
  }

  async #addMetadata(node: TreeNode, location: string, isNew: boolean): Promise<void> {
    const { accounts, selectXattr } = this.#options;
    // With a selection, what is there has to be known before it can be said what is kept.
    const presentXattrs = selectXattr && !isNew ? await this.#target.listXattrs(location) : undefined;
    const options = { accounts, selectXattr, presentXattrs };
    for (const call of metadataCalls(node, nameOf(location), options))
      if (this.#target.isNative || !call.kind.endsWith("xattrs")) this.#add(location, call);
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

  #onFailure({ code, reason }: FileCallFailure, call: FileCall, location: string): void {
    const isMaking = ["directory", "symlink", "node", "link", "remove"].includes(call.kind);
    const what = call.kind === "directory" ? parentOf(location) : location;
    const cause = Object.assign(new Error(reason), { code });
    const words = code === "ENOSYS" && !existsSync("/proc/self/fd") ? WITHOUT_PROC : reason;
    const message = `Cannot ${VERBS[call.kind]} "${what}": ${describeCall(call)}${words}`;
    if (isMaking) {
      this.#failed.add(location);
      this.#watch.onError(location, new YoreError(errorCodeOf(code), message, { cause }));
      return;
    }
    if (code === "ENOENT") {
      this.#onGone(location, cause);
      return;
    }
    const isRoot = process.geteuid?.() === 0;
    if (!isRoot && NOT_PERMITTED.has(code)) return;
    if (NOT_SUPPORTED.has(code)) {
      const kind = `${call.kind} ${call.kind === "set-xattr" ? call.attribute.split(".", 1)[0] : ""}`;
      if (this.#saidOnce.has(kind)) return;
      this.#saidOnce.add(kind);
    }
    this.#watch.onWarning(location, new YoreError("backend", message, { cause }));
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

function describeCall(call: FileCall): string {
  if (call.kind === "set-xattr") return `${call.attribute}: `;
  return "";
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
