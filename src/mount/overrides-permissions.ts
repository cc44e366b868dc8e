import { readFileSync } from "node:fs";

/** Bit of CAP_DAC_OVERRIDE in the capabilities of a process (capabilities(7)). */
const DAC_OVERRIDE = 1n << 1n;
/** The map of user IDs outside of every user namespace (user_namespaces(7)). */
const ALL_USER_IDS = /^\s*0\s+0\s+4294967295\s*$/;

/**
 * Whether the kernel's checks of owner and mode keep nothing from this process: root as a rule, unless its container took
 * the capability away or maps only some user IDs. False where /proc does not tell.
 */
export function overridesPermissions(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
    const has = effective !== null && (BigInt(`0x${effective[1]}`) & DAC_OVERRIDE) !== 0n;
    return has && ALL_USER_IDS.test(readFileSync("/proc/self/uid_map", "latin1"));
  } catch {
    return false;
  }
}
