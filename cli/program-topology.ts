import type { Command } from 'commander';
import type { Runner } from './program.ts';

type Helpers = {
  /** Adds what all commands have that talk to a server. */
  readonly withServer: (command: Command) => Command;
  readonly withOutput: (command: Command) => Command;
  readonly wholeNumber: (min: number, max: number) => (text: string) => number;
};

const FILE = 'topology file; default: ./switchyard.topology.yaml';

/** `switchyard topology …`. */
export function addTopologyCommands(program: Command, runner: Runner, { withServer, withOutput, wholeNumber }: Helpers): void {
  const topology = program.command('topology').description('Say which clusters and pools there are, and what projects may take.');
  const commands = () => import('./commands/topology.ts');
  withOutput(topology.command('validate'))
    .description('Check a topology file; no server is asked.')
    .argument('[file]', FILE)
    .action((file: string | undefined, options) => runner(async (session) => (await commands()).validateCommand(session, file), options));
  withServer(topology.command('plan'))
    .description('Say what a topology file would change: rules, agents, queued steps.')
    .argument('[file]', FILE)
    .action((file: string | undefined, options) => runner(async (session) => (await commands()).planCommand(session, file), options));
  withServer(topology.command('apply'))
    .description('Put a topology file in force.')
    .argument('[file]', FILE)
    .option('--base <digest>', 'refuse where another topology holds than this one, as "plan" said; default: the one that holds now')
    .option('--reason <text>', 'why, for the history', '')
    .option('--dry-run', 'only say what would change, as "plan"')
    .action((file: string | undefined, options) =>
      runner(async (session) => (await commands()).applyCommand(session, file, options), options),
    );
  withServer(topology.command('show'))
    .description('Print the topology that holds, or an earlier one.')
    .argument('[revision]', 'number in the history', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action((revision: number | undefined, options) =>
      runner(async (session) => (await commands()).showCommand(session, revision), options),
    );
  withServer(topology.command('history'))
    .description('List the topologies that were applied, newest first.')
    .action((options) => runner(async (session) => (await commands()).historyCommand(session), options));
  withServer(topology.command('rollback'))
    .description('Put an earlier topology in force again, as a new revision.')
    .argument('<revision>', 'number in the history', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--reason <text>', 'why, for the history; default: "rollback to REVISION"')
    .option('--dry-run', 'only say what would change')
    .action((revision: number, options) =>
      runner(async (session) => (await commands()).rollbackCommand(session, revision, options), options),
    );
  withOutput(topology.command('schema'))
    .description('Print the JSON Schema of topology files, for editors.')
    .action((options) => runner(async (session) => (await commands()).topologySchemaCommand(session), options));
}
