import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ROOT } from '../fixtures/root.ts';
import { tempDir, type TempDir } from '../fixtures/temp-dir.ts';
import { until } from '../fixtures/until.ts';
import { dockerAt, openNetwork, startContainer, type Container } from './docker.ts';
import { filesBesideCode } from './sources.ts';

const IMAGE = 'switchyard-test/switchyard:local';
const docker = dockerAt(inject('docker'), inject('dockerHost'));

/** Most bytes that the image may have; Node is 130 million of them, Debian with a sandbox 60. */
const IMAGE_BYTES_MAX = 300_000_000;

/** What `docker run` needs so that bubblewrap can make its namespaces in a container whose user is not root. */
const NAMESPACES = ['--security-opt', 'seccomp=unconfined', '--security-opt', 'systempaths=unconfined'];

const stack = new AsyncDisposableStack();
let network: string;
let coordinator: Container;
let callerToken: string;
let agentToken: string;
let files: TempDir;

beforeAll(async () => {
  files = stack.use(await tempDir());
  const { base, node } = inject('images');
  // Both bases have all that is needed: what asks for the network fails.
  await docker.output('build', '--network', 'none', '--build-arg', `BASE=${base}`, '--build-arg', `NODE=${node}`, '-t', IMAGE, ROOT);
  stack.defer(async () => void (await docker.run('image', 'rm', '--force', IMAGE)));
  network = stack.use(await openNetwork(docker)).name;
  const caller = await newToken('caller', '--role', 'admin', '--project', 'shop', '--zone', 'trusted');
  const agent = await newToken('agent', '--cluster', 'main', '--pool', 'central', '--zone', 'trusted');
  [callerToken, agentToken] = [caller.token, agent.token];
  const tokens = join(files.path, 'tokens.json');
  await writeFile(tokens, JSON.stringify([caller.entry, agent.entry]));
  // The program's user is another one than ours.
  await chmod(tokens, 0o644);
  const run = ['--network', network, '--network-alias', 'coordinator', '--volume', `${tokens}:/tokens.json:ro`, '--health-interval', '1s'];
  const listen = ['--listen', '0.0.0.0:7410', '--data-listen', '0.0.0.0:7411', '--data-address', 'coordinator:7411'];
  coordinator = stack.use(await startContainer(docker, [...run, IMAGE, 'coordinator', ...listen, '--tokens-file', '/tokens.json']));
  await coordinator.ready();
});

afterAll(() => stack.disposeAsync());

async function newToken(kind: string, ...fields: readonly string[]): Promise<{ readonly token: string; readonly entry: object }> {
  const text = await docker.output('run', '--rm', IMAGE, 'token', '-o', 'json', '--kind', kind, ...fields, kind);
  return JSON.parse(text) as { token: string; entry: object }; // the form that the command line promises
}

/** An agent in a container, with the label `name`. */
async function startAgent(name: string, options: readonly string[], args: readonly string[] = []): Promise<Container> {
  const run = ['--network', network, '--no-healthcheck', '--env', `SWITCHYARD_AGENT_TOKEN=${agentToken}`, ...options];
  const agent = ['agent', '--coordinator', 'coordinator:7410', '--id', name, '--label', `name=${name}`, ...args];
  return startContainer(docker, [...run, IMAGE, ...agent]);
}

/** A command line in a container. */
function switchyard(...args: readonly string[]) {
  const at = ['--env', 'SWITCHYARD_SERVER=coordinator:7410', '--env', `SWITCHYARD_TOKEN=${callerToken}`];
  return docker.run('run', '--rm', '--network', network, ...at, '--workdir', '/tmp', IMAGE, ...args);
}

/** Runs a shell script at the agent `name` on no files at all. */
function execAt(name: string, script: string) {
  return switchyard('exec', '--select', `name=${name}`, '--', 'sh', '-c', script);
}

describe('the image', () => {
  test('is small, and says so', async () => {
    const bytes = Number(await docker.output('image', 'inspect', '--format', '{{.Size}}', IMAGE));
    process.stdout.write(`The image has ${Math.round(bytes / 1e6)} MB.\n`);
    expect(bytes).toBeLessThan(IMAGE_BYTES_MAX);
  });

  test('runs as a user who is not root and owns only its data directory', async () => {
    const script = 'id -u; id -g; pwd; touch here && echo own; touch /app/bin/x 2>/dev/null || echo not the program';
    const answer = await docker.output('run', '--rm', '--entrypoint', 'sh', IMAGE, '-c', script);
    expect(answer.split('\n')).toEqual(['10001', '10001', '/var/lib/switchyard', 'own', 'not the program', '']);
  });

  test('has the Node that the project brings, what it depends on, and nothing of development', async () => {
    const script =
      'node --version; cd /app; ls node_modules | grep -c -E "^(vitest|typescript|testcontainers)$"; ls -d test docs .git 2>/dev/null';
    const { stdout } = await docker.run('run', '--rm', '--entrypoint', 'sh', IMAGE, '-c', script);
    expect(stdout).toBe(`${process.version}\n0\n`);
  });

  test('has every file that the program reads beside its code', async () => {
    const script = 'cd /app && find . -name node_modules -prune -o -type f -print';
    const there = await docker.output('run', '--rm', '--entrypoint', 'sh', IMAGE, '-c', script);
    const inImage = new Set(there.split('\n').map((path) => path.slice(2)));
    const wanted = filesBesideCode();
    expect(wanted).toContain('proto/switchyard/v1/agent.proto');
    expect(wanted.filter((path) => !inImage.has(path))).toEqual([]);
  });
});

describe('containers', () => {
  test('a coordinator becomes healthy by its own probe', async () => {
    const health = async () => (await docker.output('inspect', '--format', '{{.State.Health.Status}}', coordinator.id)).trim();
    expect(await until('the probe has an answer', async () => (await health()) !== 'starting' && health())).toBe('healthy');
  });

  test('a step runs in the process sandbox where the engine forbids namespaces, and the agent says what is missing', async () => {
    await using agent = await startAgent('plain', []);
    const { sandbox, missing } = await agent.ready();
    expect({ sandbox, missing }).toEqual({ sandbox: 'process', missing: expect.arrayContaining([expect.stringMatching(/bubblewrap/i)]) });
    const { code, stdout } = await execAt('plain', 'id -u; echo "a step"');
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('a step') });
    expect(await agent.stop(60)).toBe(0);
  });

  test('a step runs in bubblewrap where the engine allows namespaces', async () => {
    await using agent = await startAgent('boxed', NAMESPACES, ['--sandbox', 'bubblewrap']);
    expect((await agent.ready())['sandbox']).toBe('bubblewrap');
    const script = 'ls /app 2>/dev/null || echo no program here; ls /proc | grep -c "^[0-9]*$"';
    const { code, stdout } = await execAt('boxed', script);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain('no program here');
    expect(await agent.stop(60)).toBe(0);
  });

  test('docker stop lets an agent finish its step', async () => {
    await using agent = await startAgent('stopped', []);
    await agent.ready();
    const build = execAt('stopped', 'echo begun; sleep 6; echo finished');
    const runs = async () => (await docker.output('top', agent.id, '-eo', 'pid,args')).includes('sleep 6');
    await until('the step runs', runs, 60_000);
    expect(await agent.stop(60)).toBe(0);
    const { code, stdout } = await build;
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('finished') });
  });

  test('docker stop ends a coordinator in good order, and it begins again on its volume', async () => {
    expect(await coordinator.stop(30)).toBe(0);
    await docker.output('start', coordinator.id);
    await until('the coordinator is back', async () => (await switchyard('builds')).code === 0, 60_000);
    expect(await coordinator.stop(30)).toBe(0);
  });
});
