import { Option, type Command } from 'commander';
import { ROLES } from '../base/caller.ts';
import { ZONES } from '../base/zone.ts';
import type { Runner } from './program.ts';

/** `switchyard token …`. */
export function addTokenCommands(program: Command, runner: Runner, withOutput: (command: Command) => Command): void {
  const token = program.command('token').description('Make, list and revoke the tokens in a tokens file.');
  const file = '-f, --file <file>';
  withOutput(token.command('create'))
    .description('Make a token. It is shown once; its entry goes into the tokens file, or is printed where none is named.')
    .argument('<name>', 'name for logs and records')
    .option(file, "the coordinator's tokens file; made where there is none")
    .option('--expires <duration>', 'refuse the token after that time, such as 90d; default: never')
    .addOption(new Option('--kind <kind>', 'who shows it').choices(['caller', 'agent', 'service']).default('caller'))
    .addOption(new Option('--role <role>', 'what a caller may do').choices([...ROLES]).default('submitter'))
    .option('--project <name>', 'project of a caller')
    .option('--scope <path>', 'cache scope of a caller', 'main')
    .addOption(new Option('--zone <zone>', 'zone of an agent, or the highest of a caller').choices([...ZONES]).default('untrusted'))
    .option('--cluster <name>', 'cluster of an agent', 'local')
    .option('--pool <name>', 'pool of an agent')
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/token.ts')).createTokenCommand(session, name, options), options),
    );
  withOutput(token.command('list'))
    .description('List the tokens of a tokens file: whom each stands for, and until when.')
    .requiredOption(file, "the coordinator's tokens file")
    .action((options) =>
      runner(async (session) => (await import('./commands/token.ts')).listTokensCommand(session, options.file), options),
    );
  withOutput(token.command('revoke'))
    .description('Take a token out of a tokens file. Running coordinators refuse it within seconds.')
    .argument('<name>', 'name of the token')
    .requiredOption(file, "the coordinator's tokens file")
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/token.ts')).revokeTokenCommand(session, name, options.file), options),
    );
}
