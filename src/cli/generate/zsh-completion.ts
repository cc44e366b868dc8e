import { type CommandInfo, type FlagInfo, flatten, HELP_FLAG, type ValueKind } from "./command-tree.js";

/** A completion for zsh: one function for each command, made of `_arguments`. */
export function zshCompletion(program: CommandInfo): string {
  const functions = flatten(program).map((command) => commandFunction(command, program.flags));
  return `#compdef yore
# zsh completion for yore; put it as _yore into a folder of $fpath, or source it.

${functions.join("\n\n")}

if [[ $funcstack[1] == _yore ]]; then _yore "$@"; else compdef _yore yore; fi
`;
}

function commandFunction(command: CommandInfo, globalFlags: readonly FlagInfo[]): string {
  const own = command.path === "" ? [] : command.flags;
  const specs = [HELP_FLAG, ...own, ...globalFlags].map(flagSpec);
  if (command.commands.length === 0)
    return `${functionName(command.path)}() {
  _arguments -s -S \\
${[...specs, ...operandSpecs(command)].map((spec) => `    ${spec}`).join(" \\\n")}
}`;
  return `${functionName(command.path)}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -s -S -C \\
${specs.map((spec) => `    ${spec}`).join(" \\\n")} \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${command.commands.map(({ name, summary }) => `        ${quote(`${name}:${summary}`)}`).join("\n")}
      )
      _describe command commands ;;
    argument)
      case $words[1] in
${command.commands.map(({ name, path }) => `        ${name}) ${functionName(path)} ;;`).join("\n")}
      esac ;;
  esac
}`;
}

function functionName(path: string): string {
  return `_yore${path === "" ? "" : `_${path.replaceAll(/[ -]/g, "_")}`}`;
}

/** "*" in front: any flag may stand more than once, and the last one counts. */
function flagSpec({ short, long, description, valueName, value, optional }: FlagInfo): string {
  const text = description.replaceAll(/[[\]\\:]/g, "\\$&");
  const behind =
    value === "nothing" || optional ? "" : `:${valueName.replaceAll(":", "\\:")}:${action(value)}`;
  const takes = behind !== "";
  const names = [
    ...(short ? [`${short}${takes ? "+" : ""}`] : []),
    `${long}${takes ? "=" : optional ? "=-" : ""}`,
  ];
  const optionalValue = optional ? `::${valueName}:` : "";
  return names
    .map((name) => quote(`*${name}[${text}]${behind}${name.startsWith("--") ? optionalValue : ""}`))
    .join(" ");
}

function operandSpecs({ arguments: args, operand }: CommandInfo): string[] {
  return args.length === 0
    ? []
    : [quote(`*:${args[0]!.term.replaceAll(/[<>[\].]/g, "")}:${action(operand)}`)];
}

function action(value: ValueKind): string {
  if (value === "file") return "_files";
  if (value === "directory") return "_files -/";
  return typeof value === "string" ? " " : `(${value.join(" ")})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
