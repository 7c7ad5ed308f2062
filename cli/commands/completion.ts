import type { Command, Option } from 'commander';
import { EXIT } from '../exit.ts';
import type { Session } from '../session.ts';

type Known = {
  readonly name: string;
  readonly about: string;
  readonly flags: readonly string[];
  /** Flags with a few values to choose from. */
  readonly choices: readonly { readonly flags: readonly string[]; readonly values: readonly string[] }[];
  /** The values of its first argument, where they are a few. */
  readonly words: readonly string[];
};

/** Prints a script that completes commands and options in `shell`. */
export async function completionCommand(session: Session, shell: string, program: Command): Promise<number> {
  const commands = program.commands.map((command) => ({
    name: command.name(),
    about: command.description().split('. ')[0]?.replace(/\.$/, '') ?? '',
    flags: [...new Set(['--help', ...optionsOf(command).flatMap(flagsOf)])],
    choices: optionsOf(command).flatMap((option) =>
      option.argChoices === undefined ? [] : [{ flags: flagsOf(option), values: option.argChoices }],
    ),
    words: command.registeredArguments[0]?.argChoices ?? command.commands.map((sub) => sub.name()),
  }));
  const scripts: Readonly<Record<string, (known: readonly Known[]) => string>> = { bash, zsh, fish };
  session.terminal.stdout.write(scripts[shell]?.(commands) ?? '');
  return EXIT.ok;
}

/** Its own options, and one of each name that its subcommands have. */
function optionsOf(command: Command): readonly Option[] {
  const all = [command, ...command.commands].flatMap(({ options }) => options);
  return [...new Map(all.map((option) => [option.flags, option])).values()];
}

function flagsOf(option: Option): readonly string[] {
  return [option.long, option.short].filter((flag) => flag !== undefined && flag !== null);
}

function bash(known: readonly Known[]): string {
  const cases = known.map(({ name, flags, words }) => `    ${name}) words="${flags.join(' ')}" values="${words.join(' ')}" ;;`);
  const choices = known.flatMap((command) =>
    command.choices.map(
      ({ flags, values }) =>
        `    ${flags.map((flag) => `"${command.name} ${flag}"`).join('|')}) COMPREPLY=($(compgen -W "${values.join(' ')}" -- "$word")); return ;;`,
    ),
  );
  return `# switchyard completion for bash: source it, or save it as /etc/bash_completion.d/switchyard
_switchyard() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words="" values=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${known.map(({ name }) => name).join(' ')} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${choices.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *)
      if [ -n "$values" ] && [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "$values" -- "$word"))
      else COMPREPLY=($(compgen -f -- "$word")); fi ;;
  esac
}
complete -o filenames -F _switchyard switchyard
`;
}

function zsh(known: readonly Known[]): string {
  const quoted = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
  const commands = known.map(({ name, about }) => `    '${name}:${quoted(about)}'`);
  const cases = known.map(({ name, flags }) => `    ${name}) compadd -- ${flags.join(' ')} ;;`);
  return `#compdef switchyard
_switchyard() {
  local -a commands=(
${commands.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  [[ "$words[CURRENT]" == -* ]] || { _files; return }
  case "$words[2]" in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _switchyard ]; then _switchyard "$@"; else compdef _switchyard switchyard; fi
`;
}

function fish(known: readonly Known[]): string {
  const quoted = (text: string) => text.replaceAll("'", "\\'");
  const lines = known.flatMap(({ name, about, flags }) => [
    `complete -c switchyard -n __fish_use_subcommand -f -a ${name} -d '${quoted(about)}'`,
    ...flags.map(
      (flag) =>
        `complete -c switchyard -n '__fish_seen_subcommand_from ${name}' ${flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`}`,
    ),
  ]);
  return `# switchyard completion for fish: save it as ~/.config/fish/completions/switchyard.fish\n${lines.join('\n')}\n`;
}
