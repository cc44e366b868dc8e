import { expect, it, onTestFinished } from "vitest";
import { BackupProgress } from "../../src/archiver/backup-progress.js";
import { ContentSaver, SourceError } from "../../src/archiver/content-saver.js";
import { segmentPool } from "../../src/archiver/segment.js";
import { createRepository } from "../repository/support.js";

it("ContentSaver.save() leaves no failure unhandled when a source fails while what came before is cut", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  onTestFinished(() => void process.off("unhandledRejection", onUnhandled));
  const saver = new ContentSaver(await createRepository(), segmentPool(5), new BackupProgress());
  const source = {
    fill: (buffer: Buffer, position: number) =>
      position === 0 ? Promise.resolve(buffer.length) : Promise.reject(new Error("EIO: i/o error, read")),
  };
  const saving = saver.save(source, new AbortController().signal);
  await expect(saving).rejects.toThrow(SourceError);
  expect(unhandled).toEqual([]);
});
