/**
 * All commands. Each is a module that is loaded only when its name stands on the command line, or when all are shown:
 * together they are most of the program, and to load them takes longer than to run a small command.
 */

import type { Command } from "commander";
import type { Io } from "../output.js";

type Register = (program: Command, io: Io) => void;

const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  backup: async () => (await import("./backup.js")).registerBackup,
  cache: async () => (await import("./cache.js")).registerCache,
  cat: async () => (await import("./cat.js")).registerCat,
  check: async () => (await import("./check.js")).registerCheck,
  copy: async () => (await import("./copy.js")).registerCopy,
  diff: async () => (await import("./diff.js")).registerDiff,
  dump: async () => (await import("./dump.js")).registerDump,
  features: async () => (await import("./features.js")).registerFeatures,
  find: async () => (await import("./find.js")).registerFind,
  forget: async () => (await import("./forget.js")).registerForget,
  generate: async () => (await import("./generate.js")).registerGenerate,
  init: async () => (await import("./init.js")).registerInit,
  key: async () => (await import("./key.js")).registerKey,
  list: async () => (await import("./list.js")).registerList,
  ls: async () => (await import("./ls.js")).registerLs,
  migrate: async () => (await import("./migrate.js")).registerMigrate,
  mount: async () => (await import("./mount.js")).registerMount,
  options: async () => (await import("./options.js")).registerOptions,
  prune: async () => (await import("./prune.js")).registerPrune,
  "rebuild-index": async () => (await import("./repair-index.js")).registerRebuildIndex,
  recover: async () => (await import("./recover.js")).registerRecover,
  repair: async () => (await import("./repair.js")).registerRepair,
  restore: async () => (await import("./restore.js")).registerRestore,
  "self-update": async () => (await import("./self-update.js")).registerSelfUpdate,
  serve: async () => (await import("./serve.js")).registerServe,
  rewrite: async () => (await import("./rewrite.js")).registerRewrite,
  snapshots: async () => (await import("./snapshots.js")).registerSnapshots,
  stats: async () => (await import("./stats.js")).registerStats,
  tag: async () => (await import("./tag.js")).registerTag,
  umount: async () => (await import("./umount.js")).registerUmount,
  undelete: async () => (await import("./undelete.js")).registerUndelete,
  unlock: async () => (await import("./unlock.js")).registerUnlock,
  version: async () => (await import("./version.js")).registerVersion,
};

/** The commands whose names are among some words; what else those words may mean is not known yet. */
export function commandsAmong(words: readonly string[]): string[] {
  return Object.keys(COMMANDS).filter((name) => words.includes(name));
}

/** @param names those of `commandsAmong`; all commands when left out */
export async function registerCommands(program: Command, io: Io, names?: readonly string[]): Promise<void> {
  const wanted = names ?? Object.keys(COMMANDS);
  for (const register of await Promise.all(wanted.map((name) => COMMANDS[name]!()))) register(program, io);
}
