import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { until } from '../fixtures/until.ts';
import { dockerAt } from './docker.ts';
import { openContainerYard } from './yard.ts';

const docker = dockerAt(inject('docker'), inject('dockerHost'));
const { switchyard: image, redis } = inject('images');
const NAMES = ['one', 'two'] as const;

test('docker stop of the coordinator that leads leaves the build to the other one, on one Redis and one volume', async () => {
  const volume = `switchyard-test-${randomUUID().slice(0, 8)}`;
  await docker.output('volume', 'create', volume);
  try {
    await using yard = await openContainerYard({ docker, image, coordinators: NAMES });
    await yard.start('redis', [redis]);
    // The first one leads: it is ready before the second one begins.
    const mount = ['--volume', `${volume}:/var/lib/switchyard`];
    const ledger = ['--ledger', 'redis', '--redis-url', 'redis://redis:6379', '--blobs-dir', '/var/lib/switchyard/blobs'];
    const argsOf = (name: string) => [...ledger, '--address', `${name}:7410`, '--state-dir', `/var/lib/switchyard/${name}`];
    const [first, second] = NAMES;
    const leader = await yard.startCoordinator(first, mount, argsOf(first));
    await yard.startCoordinator(second, mount, argsOf(second));
    const agent = await yard.startAgent('worker');
    await agent.ready();
    const build = yard.execAt('worker', 'echo begun; sleep 8; echo finished');
    await until('the step runs', async () => (await docker.output('top', agent.id, '-eo', 'pid,args')).includes('sleep 8'), 60_000);
    expect(await leader.stop(30)).toBe(0);
    const { code, stdout, stderr } = await build;
    expect(code, stderr).toBe(0);
    // Once each: the step was not run again.
    expect(stdout.match(/begun|finished/g)).toEqual(['begun', 'finished']);
  } finally {
    await docker.run('volume', 'rm', volume);
  }
});
