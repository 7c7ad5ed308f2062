import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CommanderError } from 'commander';
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
    const { sessionOf } = await import('./session.ts');
    code = await run(sessionOf(terminal, options, signal));
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stdout.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
    });
    command.configureHelp({ showGlobalOptions: false });
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
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const interrupted = signal.aborted;
    if (!interrupted) terminal.stderr.write(json ? `${errorJson(error)}\n` : `switchyard: ${errorText(error)}\n`);
    return interrupted ? EXIT.cancelled : exitCodeOf(error);
  }
}

function packageVersion(): string {
  const file = path.join(path.dirname(import.meta.dirname), 'package.json');
  const json: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json ? String(json.version) : '0';
}
