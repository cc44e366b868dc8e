import type { Command } from "commander";
import { formatId, formatShortId } from "../../bytes/id.js";
import { runKeyAdd, runKeyList, runKeyPasswd, runKeyRemove, type SessionKey } from "../../commands/key.js";
import { messageOf, UsageError } from "../../errors.js";
import { formatLocalTime, ZERO_TIME } from "../../format/timestamp.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";
import { askNewPassword, type NewPasswordFlags } from "../password.js";
import { renderTable } from "../table.js";
import { terminalText } from "../terminal-text.js";

interface NewKeyFlags extends NewPasswordFlags {
  readonly host?: string;
  readonly user?: string;
}

export function registerKey(program: Command, io: Io): void {
  const key = program.command("key").description("manage the keys (passwords) of the repository");
  key.action(() => key.outputHelp());
  registerKeyList(key, io);
  registerKeyAdd(key, io);
  registerKeyPasswd(key, io);
  registerKeyRemove(key, io);
}

function registerKeyList(key: Command, io: Io): void {
  key
    .command("list")
    .description("list the keys; * marks the one in use")
    .action(
      action(io, async (context) => {
        const keys = await context.withSession({ lock: "shared" }, runKeyList);
        for (const { id, error } of keys)
          if (error) context.warn(`Cannot read key ${formatShortId(id)}: ${messageOf(error)}`);
        if (context.global.json) context.json(keys.flatMap(listedJson));
        else for (const line of keyTable(keys, io)) io.stdout.line(line);
        return undefined;
      }),
    );
}

function listedJson({ isCurrent, id, key }: SessionKey): unknown[] {
  if (!key) return [];
  const { username, hostname, created } = key;
  const time = formatLocalTime(created ?? ZERO_TIME);
  return [{ current: isCurrent, id: formatId(id), userName: username, hostName: hostname, created: time }];
}

function keyTable(keys: readonly SessionKey[], io: Io): string[] {
  const text = io.stdout.isTTY ? terminalText : (raw: string) => raw;
  const columns = [" ID", "User", "Host", "Created"].map((header) => ({ header }));
  const rows = keys.flatMap(({ isCurrent, id, key }) =>
    key
      ? [
          [
            `${isCurrent ? "*" : " "}${formatShortId(id)}`,
            text(key.username),
            text(key.hostname),
            formatLocalTime(key.created ?? ZERO_TIME),
          ],
        ]
      : [],
  );
  return renderTable(columns, rows);
}

function addNewKeyFlags(command: Command): Command {
  return command
    .option("--new-password-file <file>", "file to read the new password from")
    .option("--new-insecure-no-password", "the new key has an empty password (insecure)")
    .option("--user <user>", "user that the key is for")
    .option("--host <host>", "host that the key is for");
}

function registerKeyAdd(key: Command, io: Io): void {
  addNewKeyFlags(key.command("add").description("add a key, and so a password")).action(
    action<NewKeyFlags>(io, async (context, _args, flags) => {
      const id = await context.withSession({ lock: "shared", lockAlways: true }, async (session) =>
        runKeyAdd(session, await askNewPassword(flags, io), ownerOf(flags)),
      );
      if (context.global.json) context.json({ message_type: "key_added", id: formatId(id) });
      context.print(`saved new key with ID ${formatId(id)}`);
      return undefined;
    }),
  );
}

function registerKeyPasswd(key: Command, io: Io): void {
  const command = key
    .command("passwd")
    .description("change the password: adds a key and removes the one in use");
  addNewKeyFlags(command).action(
    action<NewKeyFlags>(io, async (context, _args, flags) => {
      const id = await context.withSession({ lock: "exclusive", lockAlways: true }, async (session) =>
        runKeyPasswd(session, await askNewPassword(flags, io), ownerOf(flags)),
      );
      if (context.global.json) context.json({ message_type: "key_changed", id: formatId(id) });
      context.print(`saved new key with ID ${formatId(id)}`);
      return undefined;
    }),
  );
}

function registerKeyRemove(key: Command, io: Io): void {
  key
    .command("remove")
    .description("remove a key, and so a password")
    .argument("<ID>", "ID of the key, or the beginning of it")
    .action(
      action(io, async (context, [prefix, second]) => {
        if (!prefix || second !== undefined)
          throw new UsageError("key remove expects one argument as the key id");
        const id = await context.withSession({ lock: "exclusive", lockAlways: true }, (session) =>
          runKeyRemove(session, prefix),
        );
        if (context.global.json) context.json({ message_type: "key_removed", id: formatId(id) });
        context.print(`removed key ${formatId(id)}`);
        return undefined;
      }),
    );
}

function ownerOf({ user, host }: NewKeyFlags): { username?: string; hostname?: string } {
  // An empty name is none.
  return { ...(user ? { username: user } : {}), ...(host ? { hostname: host } : {}) };
}
