import { forEachConcurrently } from "../async/map-concurrently.js";
import { DamagedError, messageOf, throwIfAborted, YoreError } from "../errors.js";
import { examineFile, type Hasher, needsRestore, type WantedContent } from "./existing-file.js";
import type { TargetFolder } from "./target-folder.js";

/** Files that are read at a time. */
const VERIFIED_AT_ONCE = 8;

export interface VerifyWatch {
  onVerified(): void;
  onError(location: string, error: YoreError): void;
  readonly signal: AbortSignal | undefined;
}

/** Reads files of the target again and compares them, blob by blob, with what they should be. */
export async function verifyFiles(
  target: TargetFolder,
  files: Iterable<WantedContent & { readonly location: string }>,
  engine: Hasher,
  watch: VerifyWatch,
): Promise<void> {
  await forEachConcurrently(
    files,
    VERIFIED_AT_ONCE,
    async (file) => {
      try {
        const problem = await problemOf(target, file, engine, watch.signal);
        if (problem === undefined) watch.onVerified();
        else watch.onError(file.location, new DamagedError(`Cannot verify "${file.location}": ${problem}`));
      } catch (error) {
        throwIfAborted(watch.signal);
        const message = `Cannot verify "${file.location}": ${messageOf(error)}`;
        watch.onError(file.location, new YoreError("backend", message, { cause: error }));
      }
    },
    watch.signal,
  );
}

async function problemOf(
  target: TargetFolder,
  file: WantedContent & { readonly location: string },
  engine: Hasher,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const status = await target.status(file.location);
  if (!status?.isFile()) return "it is no regular file any more";
  if (status.size !== BigInt(file.size)) return `it has ${status.size} bytes instead of ${file.size}`;
  const found = await examineFile(target, file.location, file, engine, { signal, linksMatter: false });
  if (!found) return "it cannot be read";
  if (!needsRestore(found)) return undefined;
  const wrong = found.matches?.indexOf(0) ?? 0;
  const offset = file.lengths.slice(0, wrong).reduce((sum, length) => sum + length, 0);
  return `its content is not what was written, from byte ${offset} on`;
}
