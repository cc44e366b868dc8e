import { loadEngine } from "../engine/load-engine.js";
import { programVersion, RESTIC_VERSION } from "./program-version.js";

export interface Versions {
  readonly yore: string;
  /** The restic whose commands it speaks. */
  readonly restic: string;
  readonly node: string;
  /** Which engine does the arithmetic on this machine. */
  readonly engine: "native" | "portable";
  readonly platform: string;
  readonly architecture: string;
}

export async function runVersion(): Promise<Versions> {
  return {
    yore: programVersion(),
    restic: RESTIC_VERSION,
    node: process.versions.node,
    engine: (await loadEngine()).name,
    platform: process.platform,
    architecture: process.arch,
  };
}
