import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { parseDurationMs } from '../base/quantity.ts';
import { suggest } from '../base/suggest.ts';
import { BUILD_VERDICTS } from './build-view.ts';
import { addAuthorityCommands } from './program-ca.ts';
import { addCacheCommands } from './program-cache.ts';
import { addIdentityCommands } from './program-identity.ts';
import { addTokenCommands } from './program-token.ts';
import { addTopologyCommands } from './program-topology.ts';
import type { CommonOptions } from './session.ts';

/** Runs a command once its options are read. Modules are imported by the runner, so that `--help` needs none of them. */
export type Runner = (run: RunCommand, options: CommonOptions) => Promise<void>;
export type RunCommand = (session: import('./session.ts').Session) => Promise<number>;

const SHELLS = ['bash', 'zsh', 'fish'];
const SANDBOXES = ['auto', 'bubblewrap', 'process'];

/** The whole command line; `runner` gets each command that was asked for. */
export function buildProgram(version: string, runner: Runner): Command {
  const program = new Command('switchyard')
    .description('Runs builds on many agents with a shared cache.')
    .version(version, '-V, --version')
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for more)')
    .showSuggestionAfterError(true);
  program.commandsGroup('Run builds:');
  addBuildCommands(program, runner);
  program.commandsGroup('Look at builds, and change them:');
  addFollowCommands(program, runner);
  program.commandsGroup('Agents:');
  addOperatorCommands(program, runner);
  addTopologyCommands(program, runner, { withServer, withOutput, wholeNumber });
  program.commandsGroup('Cache:');
  addCacheCommands(program, runner, { withServer, wholeNumber });
  program.commandsGroup('This host and its files:');
  addLocalCommands(program, runner);
  program.addHelpText('after', EXAMPLES);
  return program;
}

const EXAMPLES = `
Begin with:
  switchyard run --embedded              takes ./switchyard.yaml through a yard of its own, on this host
  switchyard up                          keeps a yard running; then, in another terminal:
  switchyard exec -- make test           runs one command on the files here
  switchyard explain latest STEP         says why a step waits, and where it ran`;

/** A command that talks to a server. */
function withServer(command: Command): Command {
  return withOutput(command)
    .option(
      '--server <address>',
      'server as HOST:PORT, or several with commas between them; default: SWITCHYARD_SERVER, else the yard here or above',
    )
    .option('--token-file <file>', 'file with the token; default: SWITCHYARD_TOKEN_FILE or SWITCHYARD_TOKEN')
    .option('--tls-ca <file>', "authority of the server's certificate, or the word system; default: SWITCHYARD_TLS_CA, else in clear")
    .option('--tls-cert <file>', 'certificate of your own; default: SWITCHYARD_TLS_CERT')
    .option('--tls-key <file>', 'its key; default: SWITCHYARD_TLS_KEY')
    .option(
      '--tls-server-name <name>',
      "name in the server's certificate, where that is not its address; default: SWITCHYARD_TLS_SERVER_NAME",
    )
    .option('--insecure', 'send the token to another host in clear; default: SWITCHYARD_INSECURE');
}

function withOutput(command: Command): Command {
  return command.addOption(new Option('-o, --output <form>', 'what to print').choices(['text', 'json']).default('text'));
}

const tail = () => new Option('--tail <lines>', "lines of a failed step's log to show").argParser(wholeNumber(0, 10_000)).default(20);
const sandbox = () => new Option('--sandbox <kind>', 'what steps run in').choices(SANDBOXES).default('auto');
const pairs = (flags: string, about: string) => new Option(flags, about).argParser(pair).default([], 'none');
const words = (flags: string, about: string) =>
  new Option(flags, about).argParser((word: string, before: readonly string[]) => [...before, word]).default([], 'none');

function addBuildCommands(program: Command, runner: Runner): void {
  withServer(program.command('run'))
    .description('Submit the build of switchyard.yaml and follow it. Ctrl-C cancels it.')
    .option('-f, --file <file>', 'pipeline file; default: switchyard.yaml here or above')
    .addOption(pairs('-p, --param <name=value>', 'value of a parameter; may be repeated'))
    .addOption(pairs('-l, --label <name=value>', 'label of the build; may be repeated'))
    .option('--name <name>', 'name of the build')
    .option('--environment <name>', 'environment of the topology that the build is for')
    .option('--embedded', 'use a yard on this host: the one that runs here, else one for as long as the build takes')
    .addOption(sandbox())
    .option('--detach', 'only submit')
    .option('--idempotency-key <key>', 'submit at most one build under this key')
    .option('--scope <scope>', 'cache scope of the build: that of your credential, or one below it')
    .addOption(words('--untrusted-input <what>', 'what others had in their hands before: it lowers the scope; may be repeated'))
    .addOption(tail())
    .action((options) => runner(async (session) => (await import('./commands/run.ts')).runCommand(session, options), options));
  withServer(program.command('exec'))
    .description("Run one command at an agent, on the files here. Log and exit code are the command's own.")
    .usage('[options] -- COMMAND [ARGUMENT...]')
    .argument('<command...>', 'program and arguments; no shell is implied')
    .passThroughOptions()
    .addOption(words('--input <pattern>', 'file, directory or pattern to send; may be repeated; default: everything that is not ignored'))
    .addOption(words('--fetch <path>', 'file or directory to bring back; may be repeated'))
    .addOption(pairs('-e, --env <name=value>', 'variable; may be repeated'))
    .addOption(words('--pass-env <name>', 'variable that the agent passes on from its own environment; may be repeated'))
    .option('--select <selector>', 'which agents may run it, such as "class=central, arch=x64"')
    .option('--cpu <cores>', 'cores, such as 2 or 500m')
    .option('--memory <size>', 'memory, such as 2Gi')
    .option('--timeout <duration>', 'longest run, such as 10m')
    .option('--network', 'let it use the network')
    .option('--cache', 'use an equal earlier result, and keep this one')
    .option('--salt <text>', 'another text makes another cache entry')
    .action((command: string[], options) =>
      runner(async (session) => (await import('./commands/exec.ts')).execCommand(session, command, options), options),
    );
  withServer(program.command('watch'))
    .description('Follow a build. Ctrl-C leaves it running.')
    .argument('<build>', 'id, beginning of one, or "latest"')
    .addOption(tail())
    .action((build: string, options) =>
      runner(async (session) => (await import('./commands/watch.ts')).watchCommand(session, build, options), options),
    );
}

function addFollowCommands(program: Command, runner: Runner): void {
  withServer(program.command('builds'))
    .description('List builds, newest first.')
    .addOption(pairs('-l, --label <name=value>', 'only builds with this label; may be repeated'))
    .option('--running', 'only builds that have not ended')
    .addOption(new Option('--verdict <verdict>', 'only builds that ended so').choices([...BUILD_VERDICTS]))
    .addOption(new Option('-n, --limit <count>', 'builds at most').argParser(wholeNumber(1, 10_000)).default(20))
    .action((options) => runner(async (session) => (await import('./commands/builds.ts')).buildsCommand(session, options), options));
  withServer(program.command('show'))
    .description('Show a build, or one of its steps.')
    .argument('<build>', 'id, beginning of one, or "latest"')
    .argument('[step]', 'name of a step')
    .action((build: string, step: string | undefined, options) =>
      runner(async (session) => (await import('./commands/show.ts')).showCommand(session, build, step), options),
    );
  withServer(program.command('logs'))
    .description("Print a step's log, byte for byte.")
    .argument('<build>', 'id, beginning of one, or "latest"')
    .argument('[step]', 'name of a step; not needed where there is one only')
    .option('-f, --follow', 'wait for what is still to come')
    .addOption(new Option('--attempt <number>', 'attempt; 0 for the newest').argParser(wholeNumber(0, 1_000_000)).default(0))
    .addOption(new Option('--offset <bytes>', 'first byte').argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)).default(0))
    .action((build: string, step: string | undefined, options) =>
      runner(async (session) => (await import('./commands/logs.ts')).logsCommand(session, build, step, options), options),
    );
  withServer(program.command('explain'))
    .description('Say why a step waits, why it was placed where it is, and why the cache had no answer.')
    .argument('<build>', 'id, beginning of one, or "latest"')
    .argument('<step>', 'name of a step')
    .action((build: string, step: string, options) =>
      runner(async (session) => (await import('./commands/control.ts')).explainCommand(session, build, step), options),
    );
  withServer(program.command('cancel'))
    .description('Cancel a build, or one of its steps.')
    .argument('<build>', 'id, beginning of one, or "latest"')
    .argument('[step]', 'name of a step')
    .option('--reason <text>', 'why, for others', 'cancelled at the command line')
    .action((build: string, step: string | undefined, options) =>
      runner(async (session) => (await import('./commands/control.ts')).cancelCommand(session, build, step, options), options),
    );
  withServer(program.command('retry'))
    .description('Run a step again that ended without success, and those that were skipped because of it.')
    .argument('<build>', 'id, beginning of one, or "latest"')
    .argument('<step>', 'name of a step')
    .action((build: string, step: string, options) =>
      runner(async (session) => (await import('./commands/control.ts')).retryCommand(session, build, step), options),
    );
}

function addOperatorCommands(program: Command, runner: Runner): void {
  withServer(program.command('agents'))
    .description('List agents, what they run, and what is on hold.')
    .action((options) => runner(async (session) => (await import('./commands/agents.ts')).agentsCommand(session), options));
  const holds = [
    ['pause', 'Keep new work away from an agent, a pool or a cluster.'],
    ['drain', 'Keep new work away, and let the agents end once what they run has ended.'],
    ['resume', 'Let work come back.'],
  ] as const;
  for (const [kind, about] of holds) {
    const command = withServer(program.command(kind))
      .description(about)
      .argument('<target>', 'NAME of an agent, pool:CLUSTER/POOL or cluster:NAME')
      .option('--reason <text>', 'why, for others', kind === 'resume' ? '' : 'held at the command line');
    if (kind !== 'resume')
      command.addOption(new Option('--for <duration>', 'how long, such as 2h; default: until it is lifted').argParser(duration));
    command.action((target: string, options) =>
      runner(async (session) => (await import('./commands/agents.ts')).holdCommand(session, kind, target, options), options),
    );
  }
  addScaleInCommand(program, runner);
}

function addScaleInCommand(program: Command, runner: Runner): void {
  withServer(program.command('scale-in'))
    .description('Drain agents of a pool until so many are left: idle ones first, then those with least to lose.')
    .argument('<pool>', 'CLUSTER/POOL')
    .requiredOption('--to <count>', 'agents that are to go on serving', wholeNumber(0, 10_000))
    .option('--reason <text>', 'why, for others', 'scaled in at the command line')
    .addOption(new Option('--for <duration>', 'when agents of these names may serve again').argParser(duration).default('1h'))
    .option('--dry-run', 'only say which would go')
    .action((pool: string, options) =>
      runner(async (session) => (await import('./commands/agents.ts')).scaleInCommand(session, pool, options), options),
    );
}

function addLocalCommands(program: Command, runner: Runner): void {
  withOutput(program.command('up'))
    .description('Run a coordinator and three agents on this host until Ctrl-C. Their state stays in .switchyard/.')
    .addOption(
      new Option('--port <port>', 'port of the coordinator on 127.0.0.1; 0 takes a free one').argParser(wholeNumber(0, 65_535)).default(0),
    )
    .addOption(sandbox())
    .action((options) => runner(async (session) => (await import('./commands/up.ts')).upCommand(session, options), options));
  withServer(program.command('doctor'))
    .description('Look at this host and the server, and say how to put right what is wrong.')
    .action((options) => runner(async (session) => (await import('./commands/doctor.ts')).doctorCommand(session), options));
  withOutput(program.command('lint'))
    .description('Check the pipeline file, and warn of bad habits.')
    .option('-f, --file <file>', 'pipeline file; default: switchyard.yaml here or above')
    .addOption(pairs('-p, --param <name=value>', 'value of a parameter; may be repeated'))
    .option('--strict', 'fail on warnings too')
    .action((options) => runner(async (session) => (await import('./commands/lint.ts')).lintCommand(session, options), options));
  withOutput(program.command('schema'))
    .description('Print the JSON Schema of pipeline files, for editors.')
    .action((options) => runner(async (session) => (await import('./commands/schema.ts')).schemaCommand(session), options));
  addTokenCommands(program, runner, withOutput);
  addAuthorityCommands(program, runner, withOutput);
  withOutput(program.command('completion'))
    .description('Print a completion script.')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(SHELLS).argParser(oneOf(SHELLS)))
    .action((shell: string, options) =>
      runner(async (session) => (await import('./commands/completion.ts')).completionCommand(session, shell, program), options),
    );
  // Their options are their own: main.ts hands these two on before anything here sees them.
  program.command('coordinator').description('Run a coordinator. Options: switchyard coordinator --help');
  const agent = program.command('agent').description('Run an agent. Options: switchyard agent --help');
  addIdentityCommands(program, agent, runner, { withServer, wholeNumber });
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
  };
}

function duration(text: string): string {
  if ((parseDurationMs(text) ?? 0) > 0) return text;
  throw new InvalidArgumentError('Write a duration such as 30m or 2h.');
}

function oneOf(known: readonly string[]): (text: string) => string {
  return (text) => {
    if (known.includes(text)) return text;
    const near = suggest(text, known);
    throw new InvalidArgumentError(`Write one of ${known.join(', ')}.${near === undefined ? '' : ` Did you mean "${near}"?`}`);
  };
}

function pair(text: string, before: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write NAME=VALUE.');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}
