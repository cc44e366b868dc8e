import { type CommandInfo, type FlagInfo, flatten, HELP_FLAG } from "./command-tree.js";

/** A completion for PowerShell: the words of each command in a table, and a block that looks them up. */
export function powershellCompletion(program: CommandInfo): string {
  const commands = flatten(program);
  return `# PowerShell completion for yore; source it from $PROFILE.

$yoreWords = @{
${commands.map((command) => `    ${quote(command.path)} = @(${entries(command, program).join(", ")})`).join("\n")}
}

Register-ArgumentCompleter -Native -CommandName yore -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $path = ''
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        $next = "$path $element".Trim()
        if ($element.Extent.EndOffset -lt $cursorPosition -and $yoreWords.ContainsKey($next)) { $path = $next }
    }
    $yoreWords[$path] | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
    }
}
`;
}

/** Pairs of a word and what it means. */
function entries(command: CommandInfo, program: CommandInfo): string[] {
  const own = command === program ? [] : command.flags;
  const flags = [HELP_FLAG, ...own, ...program.flags];
  const words = typeof command.operand === "string" ? [] : command.operand;
  return [
    ...command.commands.map(({ name, summary }) => pair(name, summary)),
    ...words.map((word) => pair(word, word)),
    ...flags.map(({ long, description }: FlagInfo) => pair(long, description)),
  ];
}

function pair(word: string, meaning: string): string {
  return `@(${quote(word)}, ${quote(meaning || word)})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
