import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CommanderError, Help, type Command, type Option } from 'commander';
import { errorJson, errorText, EXIT, exitCodeOf } from './exit.ts';
import { buildProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs one command line to its exit code; never throws. `signal` is aborted by Ctrl-C where no command handles it.
 */
export async function runCli(argv: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  let code: number = EXIT.ok;
  let json = false;
  const program = buildProgram(packageVersion(), async (run, options) => {
    json = options.output === 'json';
    const { atServer, sessionOf } = await import('./session.ts');
    const session = sessionOf(terminal, options, signal);
    try {
      code = await run(session);
    } catch (error) {
      throw session.reached.link === undefined ? error : atServer(error, { link: session.reached.link });
    }
  });
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
    });
    command.configureHelp({ showGlobalOptions: false, visibleOptions: ownOptionsFirst });
  }
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return EXIT.usage;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has said what is wrong already.
    if (error instanceof CommanderError && error.code === 'commander.unknownOption' && argv[0]?.startsWith('-') === true)
      terminal.stderr.write('Options stand behind the command: switchyard COMMAND [options]\n');
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const interrupted = signal.aborted;
    if (!interrupted) terminal.stderr.write(json ? `${errorJson(error)}\n` : `switchyard: ${errorText(error)}\n`);
    return interrupted ? EXIT.cancelled : exitCodeOf(error);
  }
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** The options that all commands have come last. */
const COMMON = new Set(['--output', '--server', '--token-file', '--help']);

function ownOptionsFirst(command: Command): Option[] {
  const all = new Help().visibleOptions(command);
  const common = (option: Option) => COMMON.has(option.long ?? '');
  return [...all.filter((option) => !common(option)), ...all.filter(common)];
}

function packageVersion(): string {
  const file = path.join(path.dirname(import.meta.dirname), 'package.json');
  const json: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json ? String(json.version) : '0';
}
