import { forEachConcurrently } from "../async/map-concurrently.js";
import { DamagedError, messageOf, throwIfAborted, YoreError } from "../errors.js";
import { needsRestore, type WantedContent } from "./existing-file.js";
import { EXAMINED_AT_ONCE, type FileExaminer } from "./file-examiner.js";

export interface VerifyWatch {
  onVerified(): void;
  onError(location: string, error: YoreError): void;
  readonly signal: AbortSignal | undefined;
}

/** Reads files of the target again and compares them, blob by blob, with what they should be. */
export async function verifyFiles(
  examiner: FileExaminer,
  files: Iterable<WantedContent & { readonly location: string }>,
  watch: VerifyWatch,
): Promise<void> {
  await forEachConcurrently(
    files,
    EXAMINED_AT_ONCE,
    async (file) => {
      try {
        const problem = await problemOf(examiner, file, watch.signal);
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
  examiner: FileExaminer,
  file: WantedContent & { readonly location: string },
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { kind, size, existing } = await examiner.examine(file.location, file, {
    signal,
    linksMatter: false,
  });
  if (kind !== "file") return "it is no regular file any more";
  if (size !== file.size) return `it has ${size} bytes instead of ${file.size}`;
  if (!existing) return "it cannot be read";
  if (!needsRestore(existing)) return undefined;
  const wrong = existing.matches?.indexOf(0) ?? 0;
  const offset = file.lengths.slice(0, wrong).reduce((sum, length) => sum + length, 0);
  return `its content is not what was written, from byte ${offset} on`;
}
