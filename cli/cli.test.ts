import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashToken, parseTokens } from '../base/auth.ts';
import { systemClock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { runCli } from './cli.ts';
import type { Output } from './terminal.ts';

function memoryOutput(): Output & { text: () => string } {
  const parts: Buffer[] = [];
  return {
    write: (data) => parts.push(Buffer.from(data)) > 0,
    drained: () => Promise.resolve(),
    isTTY: false,
    columns: undefined,
    rows: undefined,
    text: () => Buffer.concat(parts).toString(),
  };
}

let cwd = '';
beforeAll(() => {
  cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-cli-'));
});
afterAll(() => fs.rmSync(cwd, { recursive: true, force: true }));

async function run(argv: readonly string[], env: Record<string, string> = {}, stdin = cwd) {
  const [stdout, stderr] = [memoryOutput(), memoryOutput()];
  const terminal = {
    stdout,
    stderr,
    env,
    cwd: stdin,
    clock: systemClock,
    log: silentLogger,
    onInterrupt: () => ({ [Symbol.dispose]: () => {} }),
  };
  const code = await runCli(argv, terminal, new AbortController().signal);
  return { code, out: stdout.text(), err: stderr.text() };
}

describe('what is wrong on the command line is refused with the fix', () => {
  test.for([
    [['rnu'], "unknown command 'rnu'\n(Did you mean run?)"],
    [['run', '--embeded'], "unknown option '--embeded'\n(Did you mean --embedded?)"],
    [['run', '--output', 'xml'], "option '-o, --output <form>' argument 'xml' is invalid. Allowed choices are text, json."],
    [['run', '--param', 'x'], 'Write NAME=VALUE.'],
    [['builds', '--limit', 'many'], 'Write a whole number from 1 to 10000.'],
    [['builds', 'extra'], 'too many arguments'],
    [['drain', 'edge-1', '--for', '2x'], 'Write a duration such as 30m or 2h.'],
    [['completion', 'bsh'], 'Write one of bash, zsh, fish. Did you mean "bash"?'],
    [['show'], "missing required argument 'build'"],
    [['cache', 'statz'], "unknown command 'statz'\n(Did you mean stats?)"],
    [['cache', 'ls', '--kind', 'x'], 'Allowed choices are action, dependency, layer, tool.'],
    [
      ['audit', 'list', '--act', 'enroll'],
      'Allowed choices are call, register, token-create, token-revoke, enrol, renew, deny, allow, trust.',
    ],
    [['exec'], "missing required argument 'command'"],
    [
      ['logs', 'b-x', '--server', 'http://x:1'],
      '"http://x:1" is not an address\n    fix: Write HOST:PORT, such as build.example.com:7433. Leave out the scheme.',
    ],
    [['show', 'what', '--server', '127.0.0.1:1'], '"what" is not a build'],
    [['exec', '--fetch', '../x', '--', 'true'], '--fetch "../x" leads out of the directory'],
    [['exec', '--cpu', 'lots', '--', 'true'], '--cpu is "lots"\n    fix: Write cores such as 2 or 500m.'],
    [['exec', '--select', 'a = = b', '--', 'true'], '--select: '],
    [['run', '-f', 'nope.yaml'], 'nope.yaml cannot be read (ENOENT)'],
    [['run'], 'There is no switchyard.yaml here or above'],
    [['builds', '--server', '127.0.0.1:1', '--token-file', 'nope'], 'The token file nope cannot be read (ENOENT)'],
    [['token', 'create', 'x'], 'A token of kind caller needs --project'],
    [['token', 'create', 'a b', '--project', 'p'], '"name" must be 1 to 63 letters'],
    [['token', 'create', 'x', '--project', 'p', '--expires', 'soon'], '--expires "soon" is no duration'],
    [['token', 'list', '--file', 'nope.json'], 'nope.json: it cannot be read (ENOENT)'],
  ] as const)('%j', async ([argv, message]) => {
    const { code, err } = await run(argv);
    expect(err).toContain(message);
    expect(code).toBe(2);
  });
});

test('without a server, the message says how to get one', async () => {
  const { code, err } = await run(['builds']);
  expect(err).toBe(
    'switchyard: No server is known here\n    fix: Start one with "switchyard up", or name one with --server HOST:PORT or SWITCHYARD_SERVER.\n',
  );
  expect(code).toBe(3);
});

test('a server that cannot be reached is code 3, and JSON says so too', async () => {
  const { code, err } = await run(['builds', '-o', 'json', '--server', '127.0.0.1:1']);
  expect(code).toBe(3);
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'PEER_UNAVAILABLE' } });
});

test('a server that cannot be reached is named, without the words of a library', async () => {
  const { err } = await run(['builds', '--server', '127.0.0.1:1']);
  expect(err).toBe(
    'switchyard: The server at 127.0.0.1:1 cannot be reached: connect ECONNREFUSED 127.0.0.1:1\n' +
      '    fix: Check the address, and that the server runs ("switchyard doctor" helps).\n',
  );
});

test('where a yard was, the message says that it does not run', async () => {
  const state = path.join(cwd, '.switchyard/coordinator');
  fs.mkdirSync(state, { recursive: true });
  const { code, err } = await run(['builds']);
  fs.rmSync(path.dirname(state), { recursive: true });
  expect(err).toContain(`The yard of ${cwd} does not run\n    fix: Start it with "switchyard up" there`);
  expect(code).toBe(3);
});

test('options before the command are told where they belong', async () => {
  const { code, err } = await run(['--server', '127.0.0.1:1', 'builds']);
  expect(err).toContain('Options stand behind the command: switchyard COMMAND [options]');
  expect(code).toBe(2);
});

test('help and version need no server', async () => {
  expect(await run(['--version'])).toMatchObject({ code: 0, err: '' });
  expect((await run(['run', '--help'])).out).toContain('--embedded');
});

test('a token and its entry fit each other and the tokens file', async () => {
  const { out } = await run(['token', 'create', 'ci', '--project', 'web', '--role', 'operator', '--zone', 'trusted', '-o', 'json']);
  const { token, entry } = JSON.parse(out);
  expect(token).toMatch(/^sy_[A-Za-z0-9_-]{43}$/);
  expect(parseTokens(JSON.stringify([entry]))[0]?.identity).toEqual({
    kind: 'caller',
    caller: { name: 'ci', role: 'operator', project: 'web', scope: 'main', zoneCeiling: 'trusted' },
  });
});

test('tokens are created in, listed from and revoked from a tokens file, which keeps what else it says', async () => {
  const file = path.join(cwd, 'tokens.json');
  const old = { name: 'old', sha256: 'a'.repeat(64), kind: 'service', note: 'from before' };
  fs.writeFileSync(file, JSON.stringify([old]), { mode: 0o640 });
  const made = await run(['token', 'create', 'ci', '--project', 'web', '--role', 'approver', '--expires', '90d', '--file', file]);
  const token = made.out.trim();
  const [first, second] = parseTokens(fs.readFileSync(file, 'utf8'));
  expect(first?.identity).toEqual({ kind: 'service', name: 'old' });
  expect(second).toMatchObject({ sha256: hashToken(token), identity: { caller: { name: 'ci', role: 'approver' } } });
  expect(fs.readFileSync(file, 'utf8')).not.toContain(token);
  expect(fs.statSync(file).mode & 0o777).toBe(0o640);
  const again = await run(['token', 'create', 'ci', '--project', 'web', '--file', file]);
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('A token "ci" is in') });
  const listed = (await run(['token', 'list', '--file', file])).out;
  expect(listed).toMatch(/^NAME +KIND +MAY +OF +ZONE +EXPIRES\nold +service .*never\nci +caller +approver +web\/main +up to untrusted +20/);
  expect(await run(['token', 'revoke', 'c', '--file', file])).toMatchObject({
    code: 2,
    err: expect.stringContaining('No token "c" is in'),
  });
  expect(await run(['token', 'revoke', 'ci', '--file', file])).toMatchObject({ code: 0 });
  expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual([old]);
});

test('lint reports errors and bad habits, and says which rule', async () => {
  const file = path.join(cwd, 'habits.yaml');
  fs.writeFileSync(
    file,
    `version: 1
params: { unused: { type: string, default: x } }
templates: { unused: { step: { run: x } } }
steps:
  fetch: { run: curl x | tar x, network: true, cache: true, outputs: [out] }
  all: { run: x, timeout: 1m, inputs: ['**'], outputs: [dist], env: { API_TOKEN: x } }
  nothing: { run: date, timeout: 1m }
  push: { run: x, timeout: 1m, sideEffects: true, retry: { agent-lost: 2 } }
`,
  );
  const { code, out } = await run(['lint', '-f', file, '-o', 'json']);
  expect(code).toBe(0);
  const { problems } = JSON.parse(out) as { problems: readonly { rule: string; field: string }[] };
  expect(problems.map(({ rule, field }) => `${rule} ${field}`)).toEqual([
    'unused-param params.unused',
    'unused-template templates.unused',
    'no-timeout steps.fetch.timeout',
    'pipe-hides-failure steps.fetch.run',
    'network-cache-without-inputs steps.fetch.cache',
    'inputs-hold-outputs steps.all.inputs',
    'whole-tree steps.all.inputs',
    'env-may-be-secret steps.all.env',
    'cache-without-inputs steps.nothing.inputs',
    'retry-side-effects steps.push.retry',
  ]);
  expect((await run(['lint', '-f', file, '--strict'])).code).toBe(1);
});

test('a pipeline file with errors is code 2, before anything is started', async () => {
  const file = path.join(cwd, 'wrong.yaml');
  fs.writeFileSync(file, 'version: 1\nsteps: { a: { rum: x } }\n');
  const { code, err } = await run(['run', '-f', file, '--server', '127.0.0.1:1']);
  expect(err).toContain('wrong.yaml:2:15: error: steps.a.rum: there is no field "rum"\n    fix: Did you mean "run"?');
  expect(code).toBe(2);
});

test('the bash completion completes commands and options', async () => {
  const { out } = await run(['completion', 'bash']);
  const script = path.join(cwd, 'completion.bash');
  const asked = ['run --em', 'expl', 'run -o j', 'completion z', 'cache ver', 'cache purge --agent', 'cache ls --kind lay'].map((line) => {
    const words = ['switchyard', ...line.split(' ')];
    return `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _switchyard; echo "$COMPREPLY"`;
  });
  fs.writeFileSync(script, [out, ...asked, ''].join('\n'));
  expect(execFileSync('bash', ['--norc', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })).toBe(
    '--embedded\nexplain\njson\nzsh\nverify\n--agent\nlayer\n',
  );
  expect((await run(['completion', 'fish'])).out).toContain("complete -c switchyard -n '__fish_seen_subcommand_from exec' -l fetch");
});
