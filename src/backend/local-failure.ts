import { messageOf, NotFoundError, systemCodeOf, YoreError } from "../errors.js";

/** Gives a system error its sentence and its code. Errors of the family pass as they are. */
export function localFailure(verb: string, path: string, error: unknown): YoreError {
  if (error instanceof YoreError) return error;
  const subject = `Cannot ${verb} "${path}"`;
  switch (systemCodeOf(error)) {
    case "ENOENT":
      if (verb === "save")
        return new YoreError("backend", `${subject}: the folder of the repository is missing`, {
          cause: error,
        });
      return new NotFoundError(`${subject}: file does not exist`, { cause: error });
    case "ENOSPC":
      return new YoreError("no-space", `${subject}: no space left on the device`, { cause: error });
    case "EDQUOT":
      return new YoreError("no-space", `${subject}: disk quota exceeded`, { cause: error });
    case "EFBIG":
      return new YoreError("no-space", `${subject}: the file system allows no file that large`, {
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new YoreError("backend", `${subject}: permission denied`, { cause: error });
    case "EROFS":
      return new YoreError("backend", `${subject}: the file system is read-only`, { cause: error });
    default:
      return new YoreError("backend", `${subject}: ${messageOf(error)}`, { cause: error });
  }
}
