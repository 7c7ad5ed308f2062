import { Option, type Command } from 'commander';
import { AUDIT_ACTS } from '../base/audit.ts';
import { ZONES } from '../base/zone.ts';
import type { Runner } from './program.ts';

type Helpers = {
  /** Adds what all commands have that talk to a server. */
  readonly withServer: (command: Command) => Command;
  readonly wholeNumber: (min: number, max: number) => (text: string) => number;
};

const commands = () => import('./commands/identity.ts');

/** `switchyard cluster …`, `switchyard audit …`, and `switchyard agent revoke` and `allow` below the command of agents. */
export function addIdentityCommands(program: Command, agent: Command, runner: Runner, { withServer, wholeNumber }: Helpers): void {
  const cluster = program.command('cluster').description('Let agents into a cluster, or keep a cluster out.');
  const joining = (command: Command) =>
    withServer(command)
      .argument('<cluster>', 'cluster that the agent will be of')
      .addOption(new Option('--zone <zone>', "the cluster's zone of trust").choices([...ZONES]).makeOptionMandatory())
      .option('--pool <pool>', 'pool that the agent will be of', 'default')
      .option('--agent <id>', 'only an agent of this id may use it; default: any')
      .option('--from <range>', 'only from this address or range, such as 10.0.0.0/8; default: from anywhere')
      .option('--expires <duration>', 'how long it can be used, up to 1h', '15m')
      .addOption(
        new Option('--count <number>', 'agents that will come, each with a token of its own').argParser(wholeNumber(1, 1_000)).default(1),
      );
  joining(cluster.command('join'))
    .description('Print the command that lets one agent into a cluster, once, within minutes.')
    .action((name: string, options) => runner(async (session) => (await commands()).joinCommand(session, name, options), options));
  const token = cluster.command('token').description('Enrolment tokens, by which agents come in: each once.');
  joining(token.command('create'))
    .description('The same as "cluster join".')
    .action((name: string, options) => runner(async (session) => (await commands()).joinCommand(session, name, options), options));
  withServer(token.command('list'))
    .description('List enrolment tokens of the last week, and what became of them.')
    .action((options) => runner(async (session) => (await commands()).listEnrolmentsCommand(session), options));
  withServer(token.command('revoke'))
    .description('Make an enrolment token worthless that nobody has used.')
    .argument('<id>', 'as "cluster token list" shows it')
    .action((id: string, options) => runner(async (session) => (await commands()).revokeEnrolmentCommand(session, id), options));
  addRevoking(cluster, 'cluster', runner, withServer);
  withServer(cluster.command('revoked'))
    .description('List all clusters, agents and certificates that are revoked.')
    .action((options) => runner(async (session) => (await commands()).listRevokedCommand(session), options));
  addRevoking(agent, 'agent', runner, withServer);
  const audit = program.command('audit').description('What was done and refused for who asked.');
  withServer(audit.command('list'))
    .description('List what happened, newest first.')
    .addOption(new Option('--act <act>', 'only this act').choices([...AUDIT_ACTS]))
    .option('--refused', 'only what was refused')
    .option('--who <text>', 'only where this is part of whom it was about, who did it, or from where')
    .option('--since <duration>', 'only the last so long, such as 2h')
    .addOption(new Option('-n, --limit <count>', 'records at most').argParser(wholeNumber(1, 100_000)).default(50))
    .action((options) => runner(async (session) => (await commands()).auditCommand(session, options), options));
}

function addRevoking(parent: Command, kind: 'cluster' | 'agent', runner: Runner, withServer: Helpers['withServer']): void {
  const what = kind === 'cluster' ? 'name of a cluster, or CLUSTER/POOL' : 'id of an agent, serial:HEX of a certificate, or its URI';
  const subjectOf = (name: string) => {
    if (/^(serial:|spiffe:\/\/)/.test(name)) return name;
    return kind === 'cluster' && name.includes('/') ? `pool:${name}` : `${kind}:${name}`;
  };
  withServer(parent.command('revoke'))
    .description(kind === 'cluster' ? 'Refuse all agents of a cluster from now on.' : 'Refuse an agent from now on, whatever it shows.')
    .argument('<name>', what)
    .option('--reason <text>', 'why, for others', 'revoked at the command line')
    .option('--for <duration>', 'how long, such as 2h; default: until "allow"')
    .action((name: string, options) =>
      runner(async (session) => (await commands()).revokeCommand(session, subjectOf(name), options), options),
    );
  withServer(parent.command('allow'))
    .description('Refuse it no longer.')
    .argument('<name>', what)
    .action((name: string, options) => runner(async (session) => (await commands()).allowCommand(session, subjectOf(name)), options));
}
