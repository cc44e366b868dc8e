/**
 * Loads the one native addon. The program must also run where it cannot be built or loaded: then `loadAddon` returns
 * `undefined` and `addonProblem` says why. What each function takes and gives is declared in `*-functions.ts`, a file
 * for each part of `native/src`; those functions check types and lengths only, policy and defaults are TypeScript's.
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { onLargeMemory } from "../bytes/large-memory.js";
import { messageOf } from "../errors.js";
import type { AccountFunctions } from "./account-functions.js";
import type { BodySocketFunctions } from "./body-socket-functions.js";
import type { CachedReadFunctions } from "./cached-read-functions.js";
import type { EngineFunctions } from "./engine-functions.js";
import type { ExamineFunctions } from "./examine-functions.js";
import type { FuseFunctions } from "./fuse-functions.js";
import type { MetadataFunctions } from "./metadata-functions.js";
import type { PackFileFunctions } from "./pack-file-functions.js";
import type { PageCacheFunctions } from "./page-cache-functions.js";
import type { PlacementFunctions } from "./placement-functions.js";
import type { ProcessFunctions } from "./process-functions.js";
import type { ScanFunctions } from "./scan-functions.js";
import type { SealedPartsFunctions } from "./sealed-parts-functions.js";
import type { TreeFunctions } from "./tree-functions.js";
import type { UploadFunctions } from "./upload-functions.js";
import type { WholeFileFunctions } from "./whole-file-functions.js";

export type Addon = AccountFunctions &
  BodySocketFunctions &
  CachedReadFunctions &
  EngineFunctions &
  ExamineFunctions &
  FuseFunctions &
  ScanFunctions &
  SealedPartsFunctions &
  MetadataFunctions &
  PackFileFunctions &
  PageCacheFunctions &
  PlacementFunctions &
  ProcessFunctions &
  TreeFunctions &
  UploadFunctions &
  WholeFileFunctions;

type Outcome = { readonly addon: Addon } | { readonly problem: string };

let outcome: Outcome | undefined;

/** The addon, loaded at the first call; `undefined` when it cannot be. */
export function loadAddon(): Addon | undefined {
  outcome ??= load();
  return "addon" in outcome ? outcome.addon : undefined;
}

/** Why there is no addon; `undefined` when there is one. */
export function addonProblem(): string | undefined {
  outcome ??= load();
  return "problem" in outcome ? outcome.problem : undefined;
}

// Both src/native/ and dist/native/ lie two folders below the package.
const BUILDER = "../../scripts/build-native";
const BUILT = "../../native/build/Release/yore.node";

/** The program that builds it; both a checkout and an installed package have it. */
export function addonBuilder(): string {
  return fileURLToPath(new URL(BUILDER, import.meta.url));
}

/** Where the addon lies: `YORE_ADDON` (for builds with sanitizers), else where `addonBuilder` puts it. */
function addonPath(): string {
  return process.env["YORE_ADDON"] || fileURLToPath(new URL(BUILT, import.meta.url));
}

function load(): Outcome {
  const path = addonPath();
  if (!existsSync(path)) return { problem: `Cannot load the native addon: "${path}" is not built` };
  try {
    const addon = createRequire(import.meta.url)(path) as Addon;
    onLargeMemory({
      prepare: (memory, bytes) => addon.useHugePages(memory, bytes),
      giveBack: (memory) => addon.giveBackPages(memory),
    });
    return { addon };
  } catch (error) {
    return { problem: `Cannot load the native addon: ${messageOf(error)}` };
  }
}
