import type { UnsealFailure } from "./engine.js";

/** In the order of `enum class UnsealFailure` in native/src/seal.h: the addon answers with positions in this list. */
export const UNSEAL_FAILURES: readonly UnsealFailure[] = ["too-short", "mac", "decompress", "length", "hash"];
