import { join } from "node:path";
import { type Command, Option } from "commander";
import { runServe, type ServeCommandOptions } from "../../commands/serve.js";
import { messageOf, UsageError } from "../../errors.js";
import { action, type CommandContext } from "../command-context.js";
import type { Environment } from "../environment.js";
import type { Io } from "../output.js";
import { parseDuration, parseSize } from "../units.js";

interface ServeFlags {
  readonly path?: string;
  readonly listen: string;
  readonly tls?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsMinVer: string;
  readonly auth: boolean;
  readonly htpasswdFile?: string;
  readonly proxyAuthUsername?: string;
  readonly appendOnly?: boolean;
  readonly privateRepos?: boolean;
  readonly maxSize?: number;
  readonly verifyUpload: boolean;
  readonly groupAccessibleRepos?: boolean;
  readonly prometheus?: boolean;
  readonly prometheusNoAuth?: boolean;
  readonly log?: string;
  readonly keepDeleted?: string;
  readonly policyFile?: string;
  readonly shutdownTimeout: number;
  readonly debug?: boolean;
}

const DEFAULT_SHUTDOWN_MS = 30_000;

export function registerServe(program: Command, io: Io): void {
  const command = program
    .command("serve")
    .description(
      "serve repositories to other machines, by restic's REST protocol\n\n" +
        "A drop-in for rest-server: restic, rclone and yore reach a repository as rest:http://HOST:8000/FOLDER/.\n" +
        "Every flag can come from the environment too: $YORE_SERVE_PATH for --path, $YORE_SERVE_TLS=true, and so on.",
    );
  for (const option of serveOptions()) command.addOption(option);
  command.action(
    action<ServeFlags>(io, async (context, args, given) => {
      if (args.length > 0)
        throw new UsageError(`Cannot serve "${args[0]}": name the data directory with --path`);
      const flags = withEnvironment(command, given, io.env);
      await runServe(readOptions(context, flags), {
        signal: context.signal,
        onListening: (server) => {
          if (context.global.json) context.json({ message_type: "listening", address: server.address });
          else context.print(`Serving ${flags.path} at ${server.address}`);
          io.onHangup(() => void server.reload());
        },
      });
      return undefined;
    }),
  );
}

/** Defaults and parsers are set before an option is added: commander takes them over then. */
function serveOptions(): Option[] {
  return [
    new Option("--path <directory>", "data directory, below which the repositories lie (required)"),
    new Option("--listen <address>", "[host]:port or unix:path; a socket of systemd wins").default(":8000"),
    new Option("--tls", "speak TLS"),
    new Option(
      "--tls-cert <file>",
      "PEM file of the certificate (default: public_key in the data directory)",
    ),
    new Option("--tls-key <file>", "PEM file of its key (default: private_key in the data directory)"),
    new Option("--tls-min-ver <version>", "oldest version of TLS").choices(["1.2", "1.3"]).default("1.2"),
    new Option("--no-auth", "ask nobody for a password"),
    new Option(
      "--htpasswd-file <file>",
      "users and their bcrypt or {SHA} passwords (default: .htpasswd in the data directory)",
    ),
    new Option("--proxy-auth-username <header>", "believe a proxy's header about who the user is"),
    new Option("--append-only", "let nobody remove anything but locks"),
    new Option("--private-repos", "let users only into the folder of their own name"),
    new Option(
      "--max-size <size>",
      "refuse what would make the data directory larger, such as 500G",
    ).argParser((text) => parseSize("--max-size", text)),
    new Option("--no-verify-upload", "do not compare the hash of an upload with its name"),
    new Option("--group-accessible-repos", "let the group read and write the files"),
    new Option("--prometheus", "show metrics at /metrics"),
    new Option("--prometheus-no-auth", "show them to everybody"),
    new Option("--log <file>", 'write a line for each request, in combined log format; "-" for stdout'),
    new Option(
      "--keep-deleted <time>",
      'keep what clients delete for so long, such as 14d; "yore undelete" brings it back',
    ),
    new Option("--policy-file <file>", "TOML file with modes, quotas and rates of users and repositories"),
    new Option("--shutdown-timeout <duration>", "how long to wait for requests under way at the end")
      .argParser((text) => parseDuration("--shutdown-timeout", text))
      .default(DEFAULT_SHUTDOWN_MS, "30s"),
    new Option("--debug", "accepted for rest-server's sake: what goes wrong is always told").hideHelp(),
  ];
}

/** What was given, and what the environment says about the rest: `$YORE_SERVE_NO_AUTH` for `--no-auth`. */
function withEnvironment(command: Command, given: ServeFlags, env: Environment): ServeFlags {
  const flags: Record<string, unknown> = { ...given };
  for (const option of command.options) {
    const variable = `YORE_SERVE_${option.long!.slice(2).toUpperCase().replaceAll("-", "_")}`;
    const text = env[variable];
    const name = option.attributeName();
    if (!text || command.getOptionValueSource(name) === "cli") continue;
    flags[name] = option.required
      ? readValue(option, variable, text)
      : readSwitch(variable, text) !== option.negate;
  }
  return flags as unknown as ServeFlags;
}

function readSwitch(variable: string, text: string): boolean {
  if (["1", "true", "yes", "on"].includes(text.toLowerCase())) return true;
  if (["0", "false", "no", "off"].includes(text.toLowerCase())) return false;
  throw new UsageError(`Cannot read $${variable}: "${text}" is neither true nor false`);
}

function readValue(option: Option, variable: string, text: string): unknown {
  if (option.argChoices && !option.argChoices.includes(text))
    throw new UsageError(`Cannot read $${variable}: expected one of ${option.argChoices.join(", ")}`);
  try {
    return option.parseArg ? option.parseArg(text, undefined) : text;
  } catch (cause) {
    throw new UsageError(`Cannot read $${variable}: ${messageOf(cause)}`, { cause });
  }
}

function readOptions(context: CommandContext, flags: ServeFlags): ServeCommandOptions {
  const { path } = flags;
  if (path === undefined)
    throw new UsageError("Cannot serve: no data directory was named", { hint: "Name it with --path" });
  if (flags.tlsCert !== undefined || flags.tlsKey !== undefined) {
    if (!flags.tls) throw new UsageError("Cannot use --tls-cert and --tls-key without --tls");
  }
  if (flags.maxSize !== undefined && flags.maxSize < 0)
    throw new UsageError("--max-size must not be negative");
  return {
    dataFolder: path,
    listen: flags.listen,
    env: context.io.env,
    tls: flags.tls
      ? {
          certificate: flags.tlsCert ?? join(path, "public_key"),
          key: flags.tlsKey ?? join(path, "private_key"),
          minVersion: `TLSv${flags.tlsMinVer}` as "TLSv1.2" | "TLSv1.3",
        }
      : undefined,
    authentication: readAuthentication(path, flags),
    mode: flags.appendOnly ? "append-only" : undefined,
    // As with rest-server, 0 is no limit.
    maxSize: flags.maxSize || undefined,
    keepDeleted: flags.keepDeleted,
    policyFile: flags.policyFile,
    privateRepositories: flags.privateRepos,
    verifyUploads: flags.verifyUpload,
    groupAccessible: flags.groupAccessibleRepos,
    metrics: flags.prometheusNoAuth && flags.prometheus ? "open" : flags.prometheus ? "with-password" : "off",
    accessLog:
      flags.log === "-"
        ? (line) => context.io.stdout.line(line)
        : flags.log
          ? { path: flags.log }
          : undefined,
    shutdownMs: flags.shutdownTimeout,
    onLog: (line) => context.warn(line),
  };
}

function readAuthentication(path: string, flags: ServeFlags): ServeCommandOptions["authentication"] {
  if (flags.proxyAuthUsername !== undefined) return { kind: "proxy", header: flags.proxyAuthUsername };
  if (!flags.auth) {
    if (flags.privateRepos)
      throw new UsageError("Cannot use --private-repos with --no-auth: nobody has a name");
    return { kind: "none" };
  }
  return { kind: "passwords", path: flags.htpasswdFile ?? join(path, ".htpasswd") };
}
