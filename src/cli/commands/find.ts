import type { Command } from "commander";
import { formatId, formatShortId, idKey } from "../../bytes/id.js";
import { READING } from "../../commands/ask-ahead.js";
import { type FindHit, type FindTarget, locateBlob, runFind } from "../../commands/find.js";
import type { Session } from "../../commands/session.js";
import { UsageError } from "../../errors.js";
import type { BlobType } from "../../format/blob.js";
import { goJsonBytes } from "../../format/go-json.js";
import type { LoadedSnapshot } from "../../format/snapshot.js";
import { formatLocalTime, formatTimestamp, type Timestamp } from "../../format/timestamp.js";
import { action, type CommandContext } from "../command-context.js";
import { EXIT_FAILURE, EXIT_SUCCESS, failureText } from "../exit-code.js";
import { parseFindTime } from "../find-time.js";
import { collect } from "../global-options.js";
import { foundNodeJson, longLine } from "../node-text.js";
import type { Io } from "../output.js";
import { PhaseView } from "../phase-progress.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { terminalName, terminalText } from "../terminal-text.js";

interface FindFlags extends SnapshotFilterFlags {
  readonly ignoreCase?: boolean;
  readonly long?: boolean;
  readonly newest?: string;
  readonly oldest?: string;
  readonly reverse?: boolean;
  readonly snapshot?: string[];
  readonly blob?: boolean;
  readonly tree?: boolean;
  readonly pack?: boolean;
  readonly showPackId?: boolean;
  readonly humanReadable?: boolean;
}

export function registerFind(program: Command, io: Io): void {
  const command = program
    .command("find")
    .description("find files, or the places where blobs, trees and packs are used")
    .argument("<pattern...>", "pattern of a path, as for --exclude; or an ID, whole or its first 8 digits")
    .option("--blob", "the patterns are IDs of blobs: find the files that have them")
    .option("--human-readable", "show sizes with units")
    .option("-i, --ignore-case", "ignore case")
    .option("-l, --long", "show mode, owner, size and time")
    .option("-N, --newest <time>", "only what was modified then or before")
    .option("-O, --oldest <time>", "only what was modified then or after")
    .option("--pack", "the patterns are IDs of packs: find what uses the blobs in them")
    .option("-R, --reverse", "oldest snapshot first")
    .option("--show-pack-id", "also tell in which packs the blobs or trees lie")
    .option("-s, --snapshot <id>", "search only this snapshot (repeatable)", collect)
    .option("--tree", "the patterns are IDs of trees: find their directories");
  addSnapshotFilter(command);
  command.action(
    action<FindFlags>(io, async (context, args, flags) => {
      const target = resolveTarget(args, flags);
      const filter = resolveSnapshotFilter(flags, io.env);
      let code = EXIT_SUCCESS;
      await context.withSession({ lock: "shared", ahead: READING }, async (session) => {
        const progress = { trees: 0, treesTotal: 0 };
        const { lines } = new PhaseView(() => ({
          phase: "trees",
          done: progress.trees,
          total: progress.treesTotal,
          what: "trees searched",
        }));
        const renderer = context.startProgress(lines);
        const writer = makeWriter(context, target, flags, session);
        const options = {
          target,
          filter,
          snapshots: flags.snapshot ?? [],
          oldestFirst: flags.reverse === true,
        };
        try {
          const found = runFind(session, options, (hit) => writer.render(hit), {
            progress,
            onIgnored: ({ name, reason }) => context.warn(`Ignoring "${name}": ${reason}`),
            onError: (_tree, path, error) => {
              code = EXIT_FAILURE;
              context.warn(`Cannot search "${terminalName(path) || "/"}": ${failureText(error)}`);
            },
          });
          for await (const { snapshot, hits } of found) await writer.write(snapshot, hits);
          writer.end();
        } finally {
          renderer.stop();
        }
      });
      return code;
    }),
  );
}

function resolveTarget(patterns: readonly string[], flags: FindFlags): FindTarget {
  if (patterns.length === 0) throw new UsageError("wrong number of arguments");
  const oldest = resolveTime(flags.oldest);
  const newest = resolveTime(flags.newest);
  const types = [flags.blob && "blobs", flags.tree && "trees", flags.pack && "packs"] as const;
  const [type, second] = types.filter((one) => typeof one === "string");
  if (second) throw new UsageError("cannot have several ID types");
  if (type) return { type, ids: patterns };
  return { type: "paths", patterns, ignoreCase: flags.ignoreCase === true, oldest, newest };
}

function resolveTime(text: string | undefined): Timestamp | undefined {
  if (!text) return undefined;
  const time = parseFindTime(text);
  if (!time) throw new UsageError(`unable to parse time: "${text}"`);
  return time;
}

/**
 * Hits are rendered when they are found and written for each snapshot that has them. A rendered hit is text with one
 * character a byte: names are bytes, and short texts are the smallest things that can be kept by the million.
 */
interface FindWriter {
  render(hit: FindHit): string;
  write(snapshot: LoadedSnapshot, hits: Iterable<string>): Promise<void>;
  end(): void;
}

function makeWriter(
  context: CommandContext,
  target: FindTarget,
  flags: FindFlags,
  session: Session,
): FindWriter {
  if (target.type === "paths")
    return context.global.json ? pathJsonWriter(context.io) : pathTextWriter(context, flags);
  const packs = new PackLines(session);
  if (context.global.json) return objectJsonWriter(context.io, flags.showPackId ? packs : undefined);
  return objectTextWriter(context.io, flags.showPackId ? packs : undefined);
}

/** Piped, names are the bytes that they are; a terminal would act upon some of them. */
function namesFor(io: Io): (bytes: Buffer) => Buffer {
  return io.stdout.isTTY ? (bytes) => Buffer.from(terminalName(bytes)) : (bytes) => bytes;
}

/** Gathers pieces of output, so that a million of them are not a million calls. */
class Gatherer {
  readonly #io: Io;
  #text = "";

  constructor(io: Io) {
    this.#io = io;
  }

  add(text: string): Promise<void> | undefined {
    this.#text += text;
    return this.#text.length >= GATHER_LENGTH ? this.flush() : undefined;
  }

  flush(): Promise<void> | undefined {
    const bytes = Buffer.from(this.#text, "latin1");
    this.#text = "";
    return this.#io.stdout.write(bytes);
  }
}

const GATHER_LENGTH = 64 * 1024;

function pathTextWriter(context: CommandContext, flags: FindFlags): FindWriter {
  const { io } = context;
  const out = new Gatherer(io);
  const options = { name: namesFor(io), humanReadable: flags.humanReadable === true };
  let first = true;
  return {
    render: (hit) => {
      if (hit.type !== "path") return "";
      return `${(flags.long ? longLine(hit.path, hit.node(), options) : options.name(hit.path)).toString("latin1")}\n`;
    },
    write: async (snapshot, hits) => {
      let any = false;
      for (const hit of hits) {
        if (!any) {
          const gap = first ? "" : "\n";
          const time = formatLocalTime(snapshot.time);
          context.print(
            `${gap}Found matching entries in snapshot ${formatShortId(snapshot.id)} from ${time}`,
          );
        }
        any = true;
        first = false;
        await out.add(hit);
      }
      await out.flush();
    },
    end: () => {},
  };
}

function pathJsonWriter(io: Io): FindWriter {
  const out = new Gatherer(io);
  let snapshots = 0;
  return {
    render: (hit) => (hit.type === "path" ? latin1(foundNodeJson(hit.path, hit.node())) : ""),
    write: async (snapshot, hits) => {
      let count = 0;
      for (const hit of hits) {
        const opening = snapshots === 0 ? '[{"matches":[' : ',{"matches":[';
        await out.add((count === 0 ? opening : ",") + hit);
        count++;
      }
      if (count === 0) return;
      await out.add(`],"hits":${count},"snapshot":"${formatId(snapshot.id)}"}`);
      snapshots++;
      await out.flush();
    },
    end: () => void io.stdout.line(snapshots === 0 ? "[]" : "]"),
  };
}

function objectTextWriter(io: Io, packs: PackLines | undefined): FindWriter {
  const out = new Gatherer(io);
  const name = namesFor(io);
  return {
    render: (hit) => {
      packs?.add(hit);
      const path = name(hit.path).toString("latin1");
      if (hit.type === "tree") return `Found tree ${formatId(hit.id)}\n ... path ${path}\n`;
      if (hit.type !== "blob") return "";
      const tree = `     (tree ${formatId(hit.parent)})`;
      return `Found blob ${formatId(hit.id)}\n ... in file ${path}\n${tree}\n`;
    },
    write: async (snapshot, hits) => {
      const place = ` ... in snapshot ${formatShortId(snapshot.id)} (${formatLocalTime(snapshot.time)})\n`;
      for (const hit of hits) await out.add(hit + place);
      await out.flush();
    },
    end: () => {
      for (const line of packs?.lines() ?? []) io.stdout.line(terminalText(line));
    },
  };
}

function objectJsonWriter(io: Io, packs: PackLines | undefined): FindWriter {
  const out = new Gatherer(io);
  let any = false;
  return {
    render: (hit) => {
      if (hit.type === "path") return "";
      const parent = hit.type === "blob" ? `,"parent_tree":"${formatId(hit.parent)}"` : "";
      const pack = packs ? `,"packs":${JSON.stringify(packs.packsOf(hit))}` : "";
      const front = `{"object_type":"${hit.type}","id":"${formatId(hit.id)}"`;
      return latin1(`${front},"path":${goJsonBytes(hit.path)}${parent}${pack}`);
    },
    write: async (snapshot, hits) => {
      const place = `,"snapshot":"${formatId(snapshot.id)}","time":"${formatTimestamp(snapshot.time)}"}`;
      for (const hit of hits) {
        await out.add(`${any ? "," : "["}${hit}${place}`);
        any = true;
      }
      await out.flush();
    },
    end: () => void io.stdout.line(any ? "]" : "[]"),
  };
}

/** The packs of the blobs that were found. */
class PackLines {
  readonly #session: Session;
  readonly #found = new Map<
    string,
    { readonly type: BlobType; readonly hit: FindHit & { type: "blob" | "tree" } }
  >();

  constructor(session: Session) {
    this.#session = session;
  }

  add(hit: FindHit): void {
    if (hit.type === "path") return;
    const type = hit.type === "tree" ? "tree" : "data";
    this.#found.set(type + idKey(hit.id), { type, hit });
  }

  packsOf(hit: FindHit & { type: "blob" | "tree" }): string[] {
    const type = hit.type === "tree" ? "tree" : "data";
    return locateBlob(this.#session, type, hit.id).map(({ packId }) => formatId(packId));
  }

  *lines(): Iterable<string> {
    for (const { type, hit } of this.#found.values()) {
      for (const { packId, offset, length, uncompressedLength } of locateBlob(this.#session, type, hit.id)) {
        yield `Object belongs to pack ${formatId(packId)}`;
        const blob = `Blob (${type}) ${formatShortId(hit.id)}`;
        yield ` ... Pack ${formatShortId(packId)}: <${blob}, offset ${offset}, length ${length}, uncompressed length ${uncompressedLength}>`;
      }
    }
  }
}

/** The UTF-8 of a text, one character a byte. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}
