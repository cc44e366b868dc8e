import { type CommandInfo, type FlagInfo, flatten, HELP_FLAG, type ValueKind } from "./command-tree.js";

/** A completion for fish: one line for each word that can be completed. */
export function fishCompletion(program: CommandInfo): string {
  const groups = program.commands.filter(({ commands }) => commands.length > 0).map(({ name }) => name);
  return `# fish completion for yore; put it as yore.fish into a folder of $fish_complete_path.

# The words of the command so far: "backup", "key add", or nothing.
function __yore_command
    set -l words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            if contains -- $word ${valueFlags(flatten(program)).join(" ")}
                set skip 1
            end
        else
            set -a words $word
            if test (count $words) = 2; or not contains -- $word ${groups.join(" ")}
                break
            end
        end
    end
    echo $words
end

complete -c yore -f
${flatten(program).flatMap(commandLines).join("\n")}
`;
}

function valueFlags(commands: readonly CommandInfo[]): string[] {
  const names = commands.flatMap(({ flags }) =>
    flags
      .filter(({ value, optional }) => value !== "nothing" && !optional)
      .flatMap(({ short, long }) => [short, long]),
  );
  return [...new Set(names.filter((name) => name !== ""))];
}

function commandLines(command: CommandInfo): string[] {
  const condition = `-n ${quote(`test (__yore_command) = ${quoteInner(command.path)}`)}`;
  // The flags of the program may stand anywhere.
  const flags = (command.path === "" ? [HELP_FLAG, ...command.flags] : command.flags).map((flag) =>
    ["complete -c yore", ...(command.path === "" ? [] : [condition]), flagWords(flag)].join(" "),
  );
  if (command.commands.length > 0) {
    const words = command.commands.map(
      ({ name, summary }) => `complete -c yore ${condition} -a ${name} -d ${quote(summary)}`,
    );
    return [...flags, ...words];
  }
  const operand = values(command.operand);
  return operand === "" ? flags : [...flags, `complete -c yore ${condition}${operand}`];
}

function flagWords({ short, long, description, value, optional }: FlagInfo): string {
  const takes = value !== "nothing" && !optional ? `${value === "file" ? " -r" : " -x"}${values(value)}` : "";
  return `-l ${long.slice(2)}${short ? ` -s ${short.slice(1)}` : ""}${takes} -d ${quote(description)}`;
}

function values(value: ValueKind): string {
  if (value === "file") return " -F";
  if (value === "directory") return " -a '(__fish_complete_directories)'";
  return typeof value === "string" ? "" : ` -a ${quote(value.join(" "))}`;
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}

function quoteInner(text: string): string {
  return `"${text}"`;
}
