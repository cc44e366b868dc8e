import { type Command, Option } from "commander";
import type { Io } from "./output.js";

/** A flag of restic's past, for the scripts that still have it. */
export interface DeprecatedOption {
  /** As Commander has them: `--hostname <host>`. */
  readonly flags: string;
  /** What to say instead, in restic's words. */
  readonly instead: string;
  /** The flag of today, without dashes, whose value this one sets; a value of its own when left out. */
  readonly sameAs?: string;
  /** Gathers the values where the flag of today does. */
  readonly collect?: (text: string, previous: string[] | undefined) => string[];
}

/** Declares a flag that no help and no completion shows, and that says on stderr what to use instead. */
export function addDeprecatedOption(command: Command, io: Io, { flags, ...rest }: DeprecatedOption): void {
  const option = new HiddenOption(flags, rest.instead, rest.sameAs);
  if (rest.collect) option.argParser(rest.collect);
  command.addOption(option);
  command.on(`option:${option.name()}`, () => void io.stderr.line(deprecation(option)));
}

function deprecation(option: Option): string {
  return `Flag ${option.long} has been deprecated, ${option.description}`;
}

class HiddenOption extends Option {
  readonly #sameAs: string | undefined;

  constructor(flags: string, description: string, sameAs: string | undefined) {
    super(flags, description);
    this.#sameAs = sameAs;
    this.hideHelp();
  }

  override attributeName(): string {
    return this.#sameAs ?? super.attributeName();
  }
}
