import { type CommandInfo, type FlagInfo, flatten, HELP_FLAG, type ValueKind } from "./command-tree.js";

/** A completion for bash that needs nothing but bash, and starts no program. */
export function bashCompletion(program: CommandInfo): string {
  const commands = flatten(program);
  return `# bash completion for yore; source it, or put it where bash-completion looks.

_yore()
{
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= word i
    # bash splits --flag=value at "=".
    if [[ $cur == = ]]; then cur=
    elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=\${COMP_WORDS[i]}
        case $word in
            =) ((i++)) ;;
            --) break ;;
            -*) if _yore_takes_value "$command" "$word" && [[ \${COMP_WORDS[i+1]} != = ]]; then ((i++)); fi ;;
            *) case "$command/$word" in
${indent(commands.filter((one) => one.path !== "").map(commandCase), 20)}
                esac ;;
        esac
    done
    COMPREPLY=()
    case "$command $prev" in
${indent(commands.flatMap(valueCases), 8)}
    esac
    if [[ $cur == -* ]]; then
        _yore_words "$(_yore_flags "$command")"
        return
    fi
    case $command in
${indent(commands.map(operandCase), 8)}
    esac
}

_yore_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_yore_files() { compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen "$1" -- "$cur")); }

_yore_takes_value()
{
    case "$1 $2" in
        ${commands.flatMap(valuePatterns).join(" | ")}) return 0 ;;
    esac
    return 1
}

_yore_flags()
{
    echo ${quote(flagWords(program.flags))}
    case $1 in
${indent(
  commands
    .filter(({ path, flags }) => path !== "" && flags.length > 0)
    .map((one) => `${quote(one.path)}) echo ${quote(flagWords(one.flags))} ;;`),
  8,
)}
    esac
}

complete -F _yore yore
`;
}

/** Which command a word is, seen from the command so far. */
function commandCase({ path, name }: CommandInfo): string {
  const parent = path.slice(0, Math.max(0, path.length - name.length - 1));
  return `${quote(`${parent}/${name}`)}) command=${quote(path)} ;;`;
}

/** Flags of the program count behind every command. */
function valuePatterns({ path, flags }: CommandInfo): string[] {
  return flags
    .filter(({ value, optional }) => value !== "nothing" && !optional)
    .flatMap((flag) => patternsOf(path, flag));
}

function patternsOf(path: string, { short, long }: FlagInfo): string[] {
  return [short, long]
    .filter((name) => name !== "")
    .map((name) => (path === "" ? `*" ${name}"` : `"${path} ${name}"`));
}

function valueCases({ path, flags }: CommandInfo): string[] {
  return flags
    .filter(({ value, optional }) => value !== "nothing" && !optional)
    .map((flag) => `${patternsOf(path, flag).join(" | ")}) ${complete(flag.value)}return ;;`);
}

function operandCase({ path, commands, operand }: CommandInfo): string {
  const value = commands.length > 0 ? commands.map(({ name }) => name) : operand;
  return `${quote(path)}) ${complete(value)};;`;
}

function complete(value: ValueKind): string {
  if (value === "file") return "_yore_files -f; ";
  if (value === "directory") return "_yore_files -d; ";
  return typeof value === "string" ? "" : `_yore_words ${quote(value.join(" "))}; `;
}

function flagWords(flags: readonly FlagInfo[]): string {
  return [HELP_FLAG, ...flags].map(({ long }) => long).join(" ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function indent(lines: readonly string[], spaces: number): string {
  return lines.map((line) => " ".repeat(spaces) + line).join("\n");
}
