import { loadAddon } from "../native/addon.js";
import { createNativeScanner } from "./native-scanner.js";
import { createPortableScanner } from "./portable-scanner.js";
import type { Scanner } from "./scanner.js";

/** The native scanner where the addon can be loaded, else the portable one. */
export function createScanner(): Scanner {
  const addon = loadAddon();
  return addon ? createNativeScanner(addon) : createPortableScanner();
}
