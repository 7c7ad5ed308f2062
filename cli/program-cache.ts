import { Option, type Command } from 'commander';
import type { Runner } from './program.ts';

type Helpers = {
  /** Adds what all commands have that talk to a server. */
  readonly withServer: (command: Command) => Command;
  readonly wholeNumber: (min: number, max: number) => (text: string) => number;
};

const kind = () => new Option('--kind <kind>', 'kind of the entries').choices(['action', 'dependency', 'layer', 'tool']);
const ENTRIES_MAX = 1_000_000;

/** `switchyard cache …`. */
export function addCacheCommands(program: Command, runner: Runner, helpers: Helpers): void {
  const cache = program.command('cache').description('Look at the shared cache, and put it in order.');
  addLookCommands(cache, runner, helpers);
  addOrderCommands(cache, runner, helpers);
  addArchiveCommands(cache, runner, helpers);
}

function addLookCommands(cache: Command, runner: Runner, { withServer, wholeNumber }: Helpers): void {
  withServer(cache.command('stats'))
    .description('Show what each scope uses, may use, and has lost for want of room.')
    .action((options) => runner(async (session) => (await import('./commands/cache.ts')).statsCommand(session), options));
  withServer(cache.command('explain'))
    .description('Say why a step had no result from the cache, or what is known of a key.')
    .argument('[build]', 'id, beginning of one, or "latest"')
    .argument('[step]', 'name of a step')
    .option('--key <key>', 'instead of a step: an action as "switchyard show" names it, or the key of a dependency cache')
    .addOption(kind())
    .option('--scope <scope>', 'scope from which is read; default: your own')
    .action((build: string | undefined, step: string | undefined, options) =>
      runner(async (session) => (await import('./commands/cache-explain.ts')).cacheExplainCommand(session, build, step, options), options),
    );
  withServer(cache.command('ls'))
    .description('List entries, newest first.')
    .addOption(kind())
    .option('--scope <scope>', 'only this scope; default: your own and those above it')
    .option('--by <name>', 'only what this build, agent or caller made')
    .addOption(new Option('-n, --limit <count>', 'entries at most').argParser(wholeNumber(1, ENTRIES_MAX)).default(50))
    .action((options) => runner(async (session) => (await import('./commands/cache.ts')).listCommand(session, options), options));
  withServer(cache.command('gc'))
    .description('Show what garbage collection would take away. It goes on by itself. For admins.')
    .option('--dry-run', 'only look; there is nothing else to ask for')
    .action((options) => runner(async (session) => (await import('./commands/cache.ts')).gcCommand(session, options), options));
}

function addOrderCommands(cache: Command, runner: Runner, { withServer, wholeNumber }: Helpers): void {
  withServer(cache.command('purge'))
    .description('Take away what somebody made and everything that was made from it. Only says what would go, unless --yes. For admins.')
    .option('--build <id>', 'what this build made: its id, the beginning of it, or "latest"')
    .option('--agent <name>', 'what this agent made')
    .option('--caller <name>', 'what was made for this caller')
    .option('--scope <scope>', 'only in this scope, not in those below it')
    .addOption(kind())
    .option('--key <key>', 'the key as "cache ls" shows it')
    .option('--since <when>', 'written then or later: how long ago, such as 2h, or a time')
    .option('--until <when>', 'written before then')
    .option('--dry-run', 'only say what would go (the default)')
    .option('--yes', 'take it away')
    .action((options) => runner(async (session) => (await import('./commands/cache.ts')).purgeCommand(session, options), options));
  withServer(cache.command('verify'))
    .description('Have the data plane read the blobs of entries, and say which are missing or damaged.')
    .option('--all', 'all entries, which also makes all of them count as used')
    .addOption(new Option('--sample <count>', 'entries to choose by chance').argParser(wholeNumber(1, ENTRIES_MAX)).default(100))
    .addOption(kind())
    .option('--scope <scope>', 'only this scope; default: your own and those above it')
    .option('--by <name>', 'only what this build, agent or caller made')
    .action((options) => runner(async (session) => (await import('./commands/cache-check.ts')).verifyCommand(session, options), options));
  withServer(cache.command('warm'))
    .description('Have the data plane read results of a build, or a key, so that they lie close to it before they are needed.')
    .argument('[build]', 'id, beginning of one, or "latest"')
    .argument('[step]', 'name of a step; default: all')
    .option('--key <key>', 'instead of a build: an action, or the key of a dependency cache')
    .addOption(kind())
    .option('--scope <scope>', 'scope from which is read; default: your own')
    .action((build: string | undefined, step: string | undefined, options) =>
      runner(async (session) => (await import('./commands/cache-check.ts')).warmCommand(session, build, step, options), options),
    );
}

function addArchiveCommands(cache: Command, runner: Runner, { withServer }: Helpers): void {
  const compression = new Option('--compression <kind>', 'of the archive; default: as its name ends').choices(['none', 'gzip', 'zstd']);
  withServer(cache.command('export'))
    .description('Write a tree, or what an entry stands for, as a tar archive: the same bytes for the same tree.')
    .argument('<what>', 'digest of the root of a tree, an action as "switchyard show" names it, or the key of an entry')
    .requiredOption('-f, --file <file>', 'ends with .tar, .tar.gz or .tar.zst; - is standard output')
    .addOption(kind())
    .option('--scope <scope>', 'scope from which is read; default: your own')
    .addOption(compression)
    .option('--layer', 'as a layer of an OCI image')
    .option('--base <root>', 'with --layer: only what makes this tree of that one; default: all of it')
    .action((what: string, options) =>
      runner(async (session) => (await import('./commands/cache-archive.ts')).exportCommand(session, what, options), options),
    );
  withServer(cache.command('import'))
    .description('Read a tar archive (as it is, or in gzip or zstd) into the cache, as a tree.')
    .argument('<file...>', 'the archive; - is standard input')
    .option('--key <key>', 'name it so in your scope, as an entry of the kind layer; builds do not look for those')
    .option('--layers', 'the archives are layers of one OCI image, the lowest first')
    .option('--skip-special', 'leave out devices and pipes, which are refused otherwise')
    .option('--scope <scope>', 'a scope below your own to put it into; default: your own')
    .action((files: string[], options) =>
      runner(async (session) => (await import('./commands/cache-archive.ts')).importCommand(session, files, options), options),
    );
}
