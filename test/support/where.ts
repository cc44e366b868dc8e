import { it } from "vitest";

/**
 * Declares a test only where it applies: what an implementation cannot do by its nature is no skipped test. A test that
 * *should* run and lacks something of the machine is skipped aloud instead (`missingPeer`).
 */
export const itWhere = (applies: boolean): typeof it => (applies ? it : (NOWHERE as unknown as typeof it));

const NOWHERE = (): void => {};
