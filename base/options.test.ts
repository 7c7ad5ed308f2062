import { expect, expectTypeOf, test } from 'vitest';
import { isFault } from './fault.ts';
import { renderHelp, renderMarkdown } from './options-text.ts';
import { parseOptions, type Environment, type OptionTable } from './options.ts';
import type { Secret } from './secret.ts';
import { suggest } from './suggest.ts';

const TABLE = {
  program: 'agent',
  prefix: 'SWITCHYARD_AGENT_',
  about: 'Runs steps on this host.',
  options: {
    name: { type: 'string', required: true, help: 'Stable name of the agent.' },
    coordinator: { type: 'string', default: '127.0.0.1:7070', help: 'Where the coordinator listens.' },
    leaseTtl: { type: 'duration', default: '30s', min: 1_000, max: 600_000, help: 'Life of a lease.' },
    diskLimit: { type: 'size', help: 'Most bytes of the local tier.' },
    slots: { type: 'int', default: '4', min: 1, help: 'Steps at once.' },
    verbose: { type: 'boolean', default: 'false', help: 'Whether to say more.' },
    sandbox: { type: 'choice', choices: ['process', 'bubblewrap'], default: 'process', help: 'How steps are kept apart.' },
    workDir: { type: 'path', default: '.switchyard', help: 'Where everything is kept.' },
    label: { type: 'list', help: 'A label, as key=value.' },
    token: { type: 'secret', help: 'Credential of the agent.' },
  },
} as const satisfies OptionTable;

const parse = (argv: readonly string[], env: Environment = {}) => parseOptions(TABLE, env, argv);

function problemsOf(argv: readonly string[], env: Environment = {}): string {
  try {
    parse(argv, env);
  } catch (error) {
    if (isFault(error, 'CONFIG_INVALID')) return error.message;
    throw error;
  }
  return '';
}

test('defaults fill in what neither flags nor variables give', () => {
  const options = parse(['--name', 'a1']);
  expect({ ...options }).toEqual({
    name: 'a1',
    coordinator: '127.0.0.1:7070',
    leaseTtl: 30_000,
    diskLimit: undefined,
    slots: 4,
    verbose: false,
    sandbox: 'process',
    workDir: '.switchyard',
    label: [],
    token: undefined,
  });
  expect(Object.isFrozen(options)).toBe(true);
  expectTypeOf(options.leaseTtl).toEqualTypeOf<number>();
  expectTypeOf(options.diskLimit).toEqualTypeOf<number | undefined>();
  expectTypeOf(options.sandbox).toEqualTypeOf<'process' | 'bubblewrap'>();
  expectTypeOf(options.token).toEqualTypeOf<Secret | undefined>();
});

test.for([
  { key: 'coordinator', argv: ['--coordinator', 'h:1'], env: { SWITCHYARD_AGENT_COORDINATOR: 'h:1' }, value: 'h:1' },
  { key: 'leaseTtl', argv: ['--lease-ttl=1m30s'], env: { SWITCHYARD_AGENT_LEASE_TTL: '1m30s' }, value: 90_000 },
  { key: 'diskLimit', argv: ['--disk-limit', '2Gi'], env: { SWITCHYARD_AGENT_DISK_LIMIT: '2Gi' }, value: 2 ** 31 },
  { key: 'slots', argv: ['--slots', '9'], env: { SWITCHYARD_AGENT_SLOTS: '9' }, value: 9 },
  { key: 'verbose', argv: ['--verbose'], env: { SWITCHYARD_AGENT_VERBOSE: 'true' }, value: true },
  { key: 'sandbox', argv: ['--sandbox', 'bubblewrap'], env: { SWITCHYARD_AGENT_SANDBOX: 'bubblewrap' }, value: 'bubblewrap' },
  { key: 'workDir', argv: ['--work-dir', '/w'], env: { SWITCHYARD_AGENT_WORK_DIR: '/w' }, value: '/w' },
  { key: 'label', argv: ['--label', 'a=1', '--label', 'b=2'], env: { SWITCHYARD_AGENT_LABEL: 'a=1, b=2' }, value: ['a=1', 'b=2'] },
] as const)('$key is read from its flag and from its variable', ({ key, argv, env, value }) => {
  expect(parse(['--name', 'a', ...argv])[key]).toEqual(value);
  expect(parse(['--name', 'a'], env)[key]).toEqual(value);
});

test('a flag goes before its variable, and --no-x before a true one', () => {
  expect(parse(['--name', 'a', '--slots', '2'], { SWITCHYARD_AGENT_SLOTS: '3' }).slots).toBe(2);
  expect(parse(['--name', 'a', '--no-verbose'], { SWITCHYARD_AGENT_VERBOSE: 'true' }).verbose).toBe(false);
});

test('an empty variable counts as not set', () => {
  expect(parse(['--name', 'a'], { SWITCHYARD_AGENT_SLOTS: '' }).slots).toBe(4);
});

test('a secret comes from its variable, is refused as a flag, and does not print', () => {
  const options = parse(['--name', 'a'], { SWITCHYARD_AGENT_TOKEN: 'hunter2' });
  expect(options.token?.reveal()).toBe('hunter2');
  expect(JSON.stringify(options)).not.toContain('hunter2');
  const problems = problemsOf(['--name', 'a', '--token', 'hunter2']);
  expect(problems).toContain('SWITCHYARD_AGENT_TOKEN');
  expect(problems).not.toContain('hunter2');
});

test('all problems are reported at once, each with its fix', () => {
  const env = { SWITCHYARD_AGENT_LEASE_TLT: '3s', SWITCHYARD_AGNET_NAME: 'x' };
  const argv = ['--slotz', '3', '--slots', '0', '--sandbox', 'docker', '--lease-ttl', '1ms', 'stray', '--coordinator'];
  expect(problemsOf(argv, env)).toMatchInlineSnapshot(`
    "switchyard agent cannot start:
      Unknown option --slotz; did you mean "--slots"?
      Unexpected argument "stray"
      --coordinator needs a value
      Unknown variable SWITCHYARD_AGENT_LEASE_TLT; did you mean "SWITCHYARD_AGENT_LEASE_TTL"?
      Unknown variable SWITCHYARD_AGNET_NAME; did you mean "SWITCHYARD_AGENT_NAME"?
      --name (or SWITCHYARD_AGENT_NAME) is required: Stable name of the agent.
      --lease-ttl must be a number and one of ms, s, m, h, d, such as 30s or 1h30m, at least 1s, at most 10m, got "1ms"
      --slots must be a whole number, at least 1, got "0"
      --sandbox must be one of process, bubblewrap, got "docker""
  `);
});

test('variables of other parts and of the command line are left alone', () => {
  const env = {
    SWITCHYARD_COORDINATOR_LISTEN: 'x',
    SWITCHYARD_SERVER: 'y',
    SWITCHYARD_REQUIRE: 'z',
    SWITCHYARD_TEST_REDIS: 'none',
    PATH: '/bin',
  };
  expect(problemsOf(['--name', 'a'], env)).toBe('');
});

test('a bad variable is refused under its own name', () => {
  const problems = problemsOf(['--name', 'a'], { SWITCHYARD_AGENT_DISK_LIMIT: '2 GB' });
  expect(problems).toMatch(/SWITCHYARD_AGENT_DISK_LIMIT must be .*2Gi, got "2 GB"/);
});

test('a flag given twice is refused', () => {
  expect(problemsOf(['--name', 'a', '--name', 'b'])).toContain('--name is given twice');
});

test('help and reference name every option, its variable and its default', () => {
  const [help, markdown] = [renderHelp(TABLE), renderMarkdown(TABLE)];
  for (const text of [help, markdown]) {
    for (const part of ['--lease-ttl', 'SWITCHYARD_AGENT_LEASE_TTL', '30s', 'SWITCHYARD_AGENT_TOKEN', 'bubblewrap'])
      expect(text).toContain(part);
    expect(text).not.toContain('--token');
  }
  expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

test.for([
  ['--lable', '--label'],
  ['sumbit', 'submit'],
  ['runn', 'run'],
  ['xyzzy', undefined],
] as const)('%s suggests %s', ([word, expected]) => {
  expect(suggest(word, ['--label', 'submit', 'run', 'explain'])).toBe(expected);
});
