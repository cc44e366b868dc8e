import { forEachConcurrently } from "../async/map-concurrently.js";
import { ID_HEX_LENGTH, type Id, idKey, parseId } from "../bytes/id.js";
import type { BlobLoader, BlobResult } from "./blob-loader.js";

/** Trees in one request, and bytes of their plaintext. */
const MAX_BATCH_TREES = 128;
const MAX_BATCH_BYTES = 1024 * 1024;
/** One batch is on its way while the trees of another are decoded. */
const MAX_BATCHES = 2;
/** Beside a batch that is on its way, which will tell of more trees, a smaller one does not pay. */
const MIN_BATCH_TREES = 16;
/** Trees of a batch that load at a time where the loader takes one by one. */
const CONCURRENCY = 8;
/** Plaintext of the trees that are loading or wait to be taken. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;
/** The next trees may always be loaded: what was loaded ahead can lie far behind them. */
const NEAR_TREES = 16;
/** How far behind the first tree of the queue one may lie that is loaded ahead. */
const WINDOW_TREES = 512;

/** The JSON of a tree, or why it could not be loaded. */
export type LoadedTree = { readonly json: Uint8Array } | { readonly error: unknown };

/** A tree that was taken off the queue, which keeps nothing of it. */
export type TakenTree = LoadedTree & {
  /** The places of its subtrees, in their order. */
  readonly children: readonly QueuedTree[];
};

/** A place in the queue, a link of a list. */
export interface QueuedTree {
  readonly id: Id;
  /** Subtrees of this one, in their order; they are queued behind it when it is loaded. */
  children: readonly QueuedTree[];
  /** Until it is taken or dropped: its place lives as long as the walk is in the directory above it. */
  tree: LoadedTree | undefined;
  isStarted: boolean;
  /** Plaintext in bytes, as the index has it; 0 when it does not. */
  bytes: number;
  /** Whoever waits for the tree. */
  resolve: (() => void) | undefined;
  before: QueuedTree | undefined;
  behind: QueuedTree | undefined;
}

/**
 * Trees in the order in which a walk will want them, each directory before what is in it, and loaded in that order ahead
 * of the walk: many with one request, where the loader can do that. A tree that arrives queues its own directories right
 * behind itself, so that loading goes deeper by itself and a walk waits for few round trips.
 *
 * What is ahead of the walk is kept as JSON, at most 4 MiB of it and the next 16 trees: the objects that it decodes to
 * would take three times as much, and outlive the young generation of the garbage collector, which doubled the time of a
 * walk.
 */
export class TreeQueue {
  readonly #loader: BlobLoader;
  readonly #expects: ((id: Id) => boolean) | undefined;
  readonly #signal: AbortSignal | undefined;
  #first: QueuedTree | undefined;
  #aheadBytes = 0;
  #batches = 0;
  #isClosed = false;

  /** @param expects whether the walk will probably want a subtree; all when left out */
  constructor(
    loader: BlobLoader,
    expects: ((id: Id) => boolean) | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#loader = loader;
    this.#expects = expects;
    this.#signal = signal;
  }

  /** Queues a tree before all others. */
  push(id: Id): QueuedTree {
    const queued = placeFor(id);
    queued.behind = this.#first;
    if (this.#first) this.#first.before = queued;
    this.#first = queued;
    return queued;
  }

  /** Takes a tree off the queue; a promise while it is loading. */
  take(queued: QueuedTree): TakenTree | Promise<TakenTree> {
    if (queued.tree) {
      const taken = { ...queued.tree, children: queued.children };
      this.#remove(queued);
      if (this.#isDry()) this.#loadAhead();
      return taken;
    }
    const loaded = new Promise<void>((resolve) => {
      queued.resolve = resolve;
    });
    if (!queued.isStarted) this.#loadAhead();
    return loaded.then(() => this.take(queued));
  }

  /** Takes a tree off the queue that is not wanted, and everything below it. */
  drop(queued: QueuedTree): void {
    for (const child of queued.children) this.drop(child);
    this.#remove(queued);
  }

  /** Loads nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  #remove(queued: QueuedTree): void {
    const { before, behind } = queued;
    if (before) before.behind = behind;
    else if (this.#first === queued) this.#first = behind;
    if (behind) behind.before = before;
    queued.before = undefined;
    queued.behind = undefined;
    queued.tree = GONE;
    queued.children = [];
    if (queued.isStarted) this.#aheadBytes -= queued.bytes;
  }

  /** True when one of the next trees is neither there nor on its way. */
  #isDry(): boolean {
    let tree = this.#first;
    for (let i = 0; i < NEAR_TREES && tree; i++, tree = tree.behind) if (!tree.isStarted) return true;
    return false;
  }

  #loadAhead(): void {
    while (this.#batches < MAX_BATCHES && !this.#isClosed) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      this.#batches++;
      void this.#load(batch).then(() => {
        this.#batches--;
        this.#loadAhead();
      });
    }
  }

  #nextBatch(): QueuedTree[] {
    const batch: QueuedTree[] = [];
    let bytes = 0;
    let tree = this.#first;
    for (let i = 0; i < WINDOW_TREES && batch.length < MAX_BATCH_TREES && tree; i++, tree = tree.behind) {
      if (tree.isStarted) continue;
      tree.bytes ||= this.#loader.blobSize("tree", tree.id) ?? 0;
      const isFull = batch.length > 0 && bytes + tree.bytes > MAX_BATCH_BYTES;
      if (isFull || (i >= NEAR_TREES && this.#aheadBytes + bytes + tree.bytes > MAX_AHEAD_BYTES)) break;
      bytes += tree.bytes;
      batch.push(tree);
    }
    const isUrgent = batch.length > 0 && batch[0] === this.#first;
    if (this.#batches > 0 && batch.length < MIN_BATCH_TREES && !isUrgent) return [];
    for (const one of batch) one.isStarted = true;
    this.#aheadBytes += bytes;
    return batch;
  }

  /** Never rejects: what goes wrong is kept until the walk gets there. */
  async #load(batch: readonly QueuedTree[]): Promise<void> {
    try {
      await this.#loadMany(batch);
    } catch (error) {
      for (const queued of batch) if (!queued.tree) this.#arrive(queued, { error });
    }
  }

  async #loadMany(batch: readonly QueuedTree[]): Promise<void> {
    const loader = this.#loader;
    if (!loader.loadBlobs || batch.length === 1) {
      await forEachConcurrently(batch, CONCURRENCY, async (queued) => {
        const loading = loader.loadBlob("tree", queued.id, this.#signal);
        const loaded = loading.then(
          (json) => ({ json }),
          (error: unknown) => ({ error }),
        );
        this.#arrive(queued, await loaded);
      });
      return;
    }
    // Equal directories are one tree, which is asked for once.
    const places = new Map<string, QueuedTree[]>();
    const ids: Id[] = [];
    for (const queued of batch) {
      const key = idKey(queued.id);
      const same = places.get(key);
      if (same) same.push(queued);
      else {
        places.set(key, [queued]);
        ids.push(queued.id);
      }
    }
    const arrive = (id: Id, result: BlobResult) => {
      const tree = "error" in result ? result : { json: Buffer.from(result.plaintext) };
      for (const queued of places.get(idKey(id)) ?? []) this.#arrive(queued, tree);
    };
    await loader.loadBlobs("tree", ids, arrive, this.#signal);
  }

  #arrive(queued: QueuedTree, tree: LoadedTree): void {
    // Nobody wants what was dropped meanwhile; it has no place in the queue any more.
    if (queued.tree) return;
    queued.tree = tree;
    if ("json" in tree) this.#queueChildren(queued, tree.json);
    queued.resolve?.();
  }

  /** Right behind their parent, where a walk will want them. */
  #queueChildren(parent: QueuedTree, json: Uint8Array): void {
    const children: QueuedTree[] = [];
    let last = parent;
    for (const id of subtreesIn(json)) {
      if (this.#expects?.(id) === false) continue;
      const child = placeFor(id);
      child.before = last;
      child.behind = last.behind;
      if (last.behind) last.behind.before = child;
      last.behind = child;
      last = child;
      children.push(child);
    }
    parent.children = children;
  }
}

const GONE: LoadedTree = { json: new Uint8Array(0) };

function placeFor(id: Id): QueuedTree {
  return {
    id,
    children: [],
    tree: undefined,
    isStarted: false,
    bytes: 0,
    resolve: undefined,
    before: undefined,
    behind: undefined,
  };
}

const SUBTREE = Buffer.from('"subtree":"', "latin1");

/**
 * What a tree's JSON shows of its subtrees without being decoded. No string can hold these bytes, for its quotes are
 * escaped. Where a writer puts in spaces, none are found; where an unknown field has the name, too many.
 */
function subtreesIn(json: Uint8Array): Id[] {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.length);
  const found: Id[] = [];
  for (let at = bytes.indexOf(SUBTREE); at >= 0; at = bytes.indexOf(SUBTREE, at)) {
    at += SUBTREE.length;
    const id = parseId(bytes.toString("latin1", at, at + ID_HEX_LENGTH));
    if (id) found.push(id);
  }
  return found;
}
