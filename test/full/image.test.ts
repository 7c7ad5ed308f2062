import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { until } from '../fixtures/until.ts';
import { dockerAt, type Container } from './docker.ts';
import { filesBesideCode } from './sources.ts';
import { openContainerYard, type ContainerYard } from './yard.ts';

const { switchyard: IMAGE } = inject('images');
const docker = dockerAt(inject('docker'), inject('dockerHost'));

/** Most bytes that the image may have; Node is 130 million of them, Debian with a sandbox 60. */
const IMAGE_BYTES_MAX = 300_000_000;

/** What `docker run` needs so that bubblewrap can make its namespaces in a container whose user is not root. */
const NAMESPACES = ['--security-opt', 'seccomp=unconfined', '--security-opt', 'systempaths=unconfined'];

let yard: ContainerYard;
let coordinator: Container;
beforeAll(async () => {
  yard = await openContainerYard({ docker, image: IMAGE, coordinators: ['coordinator'] });
  coordinator = await yard.startCoordinator('coordinator');
});
afterAll(() => yard[Symbol.asyncDispose]());

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
    const agent = await yard.startAgent('plain');
    const { sandbox, missing } = await agent.ready();
    expect({ sandbox, missing }).toEqual({ sandbox: 'process', missing: expect.arrayContaining([expect.stringMatching(/bubblewrap/i)]) });
    const { code, stdout } = await yard.execAt('plain', 'id -u; echo "a step"');
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('a step') });
    expect(await agent.stop(60)).toBe(0);
  });

  test('a step runs in bubblewrap where the engine allows namespaces', async () => {
    const agent = await yard.startAgent('boxed', NAMESPACES, ['--sandbox', 'bubblewrap']);
    expect((await agent.ready())['sandbox']).toBe('bubblewrap');
    const script = 'ls /app 2>/dev/null || echo no program here; ls /proc | grep -c "^[0-9]*$"';
    const { code, stdout } = await yard.execAt('boxed', script);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain('no program here');
    expect(await agent.stop(60)).toBe(0);
  });

  test('docker stop lets an agent finish its step', async () => {
    const agent = await yard.startAgent('stopped');
    await agent.ready();
    const build = yard.execAt('stopped', 'echo begun; sleep 6; echo finished');
    const runs = async () => (await docker.output('top', agent.id, '-eo', 'pid,args')).includes('sleep 6');
    await until('the step runs', runs, 60_000);
    expect(await agent.stop(60)).toBe(0);
    const { code, stdout } = await build;
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('finished') });
  });

  test('docker stop ends a coordinator in good order, and it begins again on its volume', async () => {
    expect(await coordinator.stop(30)).toBe(0);
    await docker.output('start', coordinator.id);
    await until('the coordinator is back', async () => (await yard.switchyard('builds')).code === 0, 60_000);
    expect(await coordinator.stop(30)).toBe(0);
  });
});
