import { type Command, Option } from "commander";
import { READING } from "../../commands/ask-ahead.js";
import { type MountCommandOptions, runMount } from "../../commands/mount.js";
import { DaemonParent, startDaemon } from "../../commands/mount-daemon.js";
import { knownPassword, type Password, type RepositoryOptions } from "../../commands/session.js";
import { UsageError } from "../../errors.js";
import { action, type CommandContext } from "../command-context.js";
import { addDeprecatedOption } from "../deprecated-option.js";
import { collect, parseCount } from "../global-options.js";
import { invalidArgument } from "../invalid-argument.js";
import type { Io } from "../output.js";
import { addSnapshotFilter, resolveSnapshotFilter, type SnapshotFilterFlags } from "../snapshot-filter.js";
import { terminalText } from "../terminal-text.js";
import { parseDuration, parseSize } from "../units.js";

interface MountFlags extends SnapshotFilterFlags {
  readonly allowOther?: boolean;
  readonly defaultPermissions: boolean;
  readonly ownerRoot?: boolean;
  readonly pathTemplate?: string[];
  readonly timeTemplate?: string;
  readonly daemon?: boolean;
  readonly foreground?: boolean;
  readonly logFile?: string;
  readonly cacheSize?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly umask?: number;
  readonly fuseDriver: "auto" | "own" | "fuse-native";
  readonly windowsNames?: boolean;
  readonly busyWait: boolean;
  readonly readTimeout?: number;
  readonly refreshInterval?: number;
}

export function registerMount(program: Command, io: Io): void {
  const command = program
    .command("mount")
    .description(
      "show snapshots as read-only directories, until Ctrl-C or `yore umount`\n\n" +
        "Without a snapshot, all of them: below ids/, snapshots/, hosts/ and tags/, or wherever the path templates " +
        'put them (%i short ID, %I ID, %u user, %h host, %t tag, %T time). With a snapshot (an ID, "latest", ' +
        '":folder" behind it), only what is in it.',
    )
    .usage("[flags] [snapshotID[:folder]] mountpoint")
    .argument(
      "<mountpoint...>",
      "mountpoint, an existing directory; before it a snapshot, if only one is wanted",
    );
  const flag = (flags: string, description: string) => {
    const option = new Option(flags, description);
    command.addOption(option);
    return option;
  };
  flag("--allow-other", "let other users look in");
  flag(
    "--no-default-permissions",
    "do not let the kernel enforce modes, as it does with --allow-other and for root",
  );
  flag("--owner-root", "show everything as owned by root");
  flag("--uid <uid>", "show everything as owned by this user").argParser((text) => parseOwner("--uid", text));
  flag("--gid <gid>", "show everything as owned by this group").argParser((text) =>
    parseOwner("--gid", text),
  );
  flag("--umask <mask>", "permission bits that are taken away, in octal").argParser(parseUmask);
  flag("--path-template <template>", "where snapshots appear (repeatable)").argParser(collect);
  flag("--time-template <layout>", "how times are written, as a layout of Go (default: RFC 3339)");
  addDeprecatedOption(command, io, {
    flags: "--snapshot-template <layout>",
    instead: "use --time-template",
    sameAs: "timeTemplate",
  });
  flag("--windows-names", "no colons and nothing else in names that Windows refuses");
  flag("--daemon", "serve in the background, and return when the mount is usable");
  flag("--foreground", "serve until the mount ends (default)").conflicts("daemon");
  flag("--log-file <file>", "with --daemon: where to write what cannot be read");
  flag("--cache-size <size>", "most memory for file content (default: 64M)").argParser((text) =>
    parseSize("--cache-size", text),
  );
  flag("--read-timeout <duration>", "give a read up with an error after so long (default: 1m)").argParser(
    (text) => parseDuration("--read-timeout", text),
  );
  flag("--refresh-interval <duration>", "between two looks for new snapshots (default: 5s)").argParser(
    (text) => parseDuration("--refresh-interval", text),
  );
  flag(
    "--no-busy-wait",
    "let idle processors of a virtual machine sleep between requests: slower, but costs its host less",
  );
  flag("--fuse-driver <driver>", "how to talk to the kernel")
    .choices(["auto", "own", "fuse-native"])
    .default("auto");
  addSnapshotFilter(command);
  command.action(
    action<MountFlags>(io, async (context, args, flags) => {
      const repository = context.global.repository();
      const options = resolveMountOptions(args, flags, repository, io);
      const parent = DaemonParent.ofThisProcess();
      if (parent) return serveAsDaemon(context, repository, options, parent);
      if (flags.daemon) return becomeDaemon(context, repository, flags);
      await serve(context, repository, options, (mountpoint) => announce(context, mountpoint));
      return undefined;
    }),
  );
}

function resolveMountOptions(
  args: readonly string[],
  flags: MountFlags,
  repository: RepositoryOptions,
  io: Io,
): MountCommandOptions {
  const mountpoint = args.at(-1);
  if (mountpoint === undefined || args.length > 2)
    throw new UsageError("wrong number of parameters: wanted a mountpoint, and perhaps a snapshot before it");
  const positive: [string, number | undefined][] = [
    ["--cache-size", flags.cacheSize],
    ["--read-timeout", flags.readTimeout],
    ["--refresh-interval", flags.refreshInterval],
  ];
  for (const [name, value] of positive)
    if (value !== undefined && value <= 0)
      throw new UsageError(`invalid argument for "${name}": it must be above 0`);
  return {
    location: repository.location,
    snapshot: args.length === 2 ? args[0] : undefined,
    mountpoint,
    filter: resolveSnapshotFilter(flags, io.env),
    allowOther: flags.allowOther,
    defaultPermissions: flags.defaultPermissions ? undefined : false,
    ownerRoot: flags.ownerRoot,
    uid: flags.uid,
    gid: flags.gid,
    umask: flags.umask,
    pathTemplates: flags.pathTemplate,
    timeTemplate: flags.timeTemplate,
    windowsSafeNames: flags.windowsNames,
    busyWait: flags.busyWait,
    cacheBytes: flags.cacheSize,
    readTimeoutMs: flags.readTimeout,
    refreshMs: flags.refreshInterval,
    driver: flags.fuseDriver,
  };
}

/** A mount holds no lock: it may live for months, and must keep nobody from pruning. */
async function serve(
  context: CommandContext,
  repository: RepositoryOptions,
  options: MountCommandOptions,
  onMounted: (mountpoint: string) => void,
): Promise<void> {
  await context.withSession({ lock: "none", ahead: READING, servesOn: true, repository }, (session) =>
    runMount(session, options, {
      onMounted,
      onBusy: () =>
        context.warn(
          "The mount is still in use. It ends when it is not; Ctrl-C again ends it for everybody.",
        ),
      onLog: (line) => context.warn(terminalText(line)),
    }),
  );
}

function announce(context: CommandContext, mountpoint: string): void {
  if (context.global.json) void context.json({ message_type: "mounted", mountpoint });
  context.print(`Now serving the repository at ${terminalText(mountpoint)}`);
  context.print("Use another terminal or tool to browse the contents of this folder.");
  context.print("When finished, quit with Ctrl-c here or umount the mountpoint.");
}

/** Asks for the password here, where there is a terminal, and makes sure of it before anything is started. */
async function becomeDaemon(
  context: CommandContext,
  repository: RepositoryOptions,
  flags: MountFlags,
): Promise<undefined> {
  let password: Password = "";
  const remembered: RepositoryOptions = {
    ...repository,
    password: {
      attempts: repository.password.attempts,
      ask: async (attempt) => {
        password = await repository.password.ask(attempt);
        return password;
      },
    },
  };
  await context.withSession({ lock: "none", repository: remembered }, async () => undefined);
  const { pid, mountpoint } = await startDaemon({
    password,
    logFile: flags.logFile,
    signal: context.signal,
  });
  if (context.global.json) void context.json({ message_type: "mounted", mountpoint, pid });
  context.print(`Now serving the repository at ${terminalText(mountpoint)} (process ${pid})`);
  context.print(`When finished, run: yore umount ${terminalText(mountpoint)}`);
  return undefined;
}

async function serveAsDaemon(
  context: CommandContext,
  repository: RepositoryOptions,
  options: MountCommandOptions,
  parent: DaemonParent,
): Promise<undefined> {
  try {
    const password = knownPassword(await parent.password());
    await serve(context, { ...repository, password }, options, (mountpoint) => void parent.ready(mountpoint));
  } catch (error) {
    await parent.failed(error);
    throw error;
  }
  return undefined;
}

/** User and group IDs are 32 bits wide, and the last one means "none". */
function parseOwner(flag: string, text: string): number {
  const id = parseCount(flag, text);
  if (id >= 0xffff_ffff) throw invalidArgument(flag, text, "no ID is so large");
  return id;
}

function parseUmask(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw invalidArgument("--umask", text, "wanted octal digits, as 022");
  return Number.parseInt(text, 8);
}
