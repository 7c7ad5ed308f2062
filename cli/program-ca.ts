import { Argument, Option, type Command } from 'commander';
import { ZONES } from '../base/zone.ts';
import type { Runner } from './program.ts';

/** `switchyard ca …`. */
export function addAuthorityCommands(program: Command, runner: Runner, withOutput: (command: Command) => Command): void {
  const ca = program.command('ca').description('Make the authority of a zone, and certificates that it signs.');
  const zone = () => new Argument('<zone>', 'zone of the authority').choices([...ZONES]);
  const dir = () => new Option('--dir <dir>', 'where <zone>-ca.pem and <zone>-ca.key are').default('.');
  withOutput(ca.command('create'))
    .description('Make the authority of a zone.')
    .addArgument(zone())
    .addOption(dir())
    .option('--expires <duration>', 'how long it signs', '3650d')
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/ca.ts')).createAuthorityCommand(session, name, options), options),
    );
  withOutput(ca.command('rotate'))
    .description('Make another authority of a zone, which signs from now on. The one before stays trusted until "ca retire".')
    .addArgument(zone())
    .addOption(dir())
    .option('--expires <duration>', 'how long it signs', '3650d')
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/ca.ts')).rotateAuthorityCommand(session, name, options), options),
    );
  withOutput(ca.command('retire'))
    .description('Trust only the newest authority of a zone: what those before it have signed counts for nothing.')
    .addArgument(zone())
    .addOption(dir())
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/ca.ts')).retireAuthorityCommand(session, name, options), options),
    );
  withOutput(ca.command('issue'))
    .description('Make a key and a certificate for it, for a server, an agent or an autoscaler.')
    .addArgument(zone())
    .addOption(dir())
    .option('--host <name...>', 'names and addresses under which a server is reached')
    .option('--agent <cluster/pool/id>', 'the agent that shows it')
    .option('--scaler <cluster/name>', 'the autoscaler that shows it and scales pools of that cluster, such as KEDA')
    .option('--domain <name>', "trust domain in an agent's name", 'switchyard')
    .requiredOption('--out <path>', 'where to write: <path>.crt and <path>.key')
    .option('--expires <duration>', 'how long it counts', '90d')
    .action((name: string, options) =>
      runner(async (session) => (await import('./commands/ca.ts')).issueCommand(session, name, options), options),
    );
}
