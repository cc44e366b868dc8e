import type { Command } from "commander";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

interface ExtendedOption {
  readonly name: string;
  readonly description: string;
}

/** What `-o` understands so far. */
const EXTENDED_OPTIONS: readonly ExtendedOption[] = [
  {
    name: "local.connections",
    description: "set a limit for the number of concurrent operations (default: 2)",
  },
  {
    name: "rest.connections",
    description: "set a limit for the number of concurrent connections (default: 5)",
  },
];

export function registerOptions(program: Command, io: Io): void {
  program
    .command("options")
    .description("print the extended options (-o)")
    .action(
      action(io, async (context) => {
        if (context.global.json) {
          for (const option of EXTENDED_OPTIONS) context.json(option);
          return undefined;
        }
        const width = Math.max(...EXTENDED_OPTIONS.map(({ name }) => name.length));
        io.stdout.line("All Extended Options:");
        for (const { name, description } of EXTENDED_OPTIONS) {
          io.stdout.line(`  ${name.padEnd(width)}  ${description}`);
        }
        return undefined;
      }),
    );
}
