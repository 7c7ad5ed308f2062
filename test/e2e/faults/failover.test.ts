import { expect, test } from 'vitest';
import { isFault } from '../../../base/fault.ts';
import { startRedis } from '../../fixtures/redis.ts';
import { startRelay } from '../../fixtures/relay.ts';
import { until } from '../../fixtures/until.ts';
import { gated, startFaultYard, stepThat } from './fault-yard.ts';

test('Redis fails over to a replica that misses the last writes: what that has goes on, what it lacks is told and made anew', async () => {
  await using faults = await startFaultYard();
  const { redis, coordinators } = faults.yard;
  if (redis === undefined) throw new Error('The yard has no Redis');
  await using link = await startRelay(redis.address);
  const [host = '', port = ''] = link.address.split(':');
  await using replica = await startRedis({
    args: ['--replicaof', host, port, '--repl-diskless-sync-delay', '0', '--appendonly', 'yes', '--appendfsync', 'always'],
  });

  const early = gated(faults.dir, 'early');
  const kept = await faults.submit('kept', [stepThat(early.script)]);
  await faults.running(kept, 'a');
  const inReplica = async (build: string) => (await replica.command('EXISTS', `{switchyard}:build:${build}`)) === 1;
  const startedInReplica = async () => String(await replica.command('HGET', `{switchyard}:build:${kept}`, 'step/a')).length > 0;
  await until('the replica has it', async () => (await inReplica(kept)) && startedInReplica());
  const offset = async (server: typeof replica) =>
    /(?:slave|master)_repl_offset:(\d+)/.exec(String(await server.command('INFO', 'replication')))?.[1];
  await until('the replica has all of it', async () => (await offset(replica)) === (await offset(redis)));

  link.cut();
  const missing = await faults.submit('missing', [stepThat('echo once')]);
  expect((await faults.end(missing)).build.verdict).toBe('succeeded');
  expect(await inReplica(missing)).toBe(false);
  await redis.kill9();
  await replica.command('REPLICAOF', 'NO', 'ONE');
  for (const { redisLink } of coordinators) {
    redisLink?.retarget(replica.address);
    redisLink?.drop();
  }

  await until('it is told that it is not known', async () => {
    const answers = await Promise.allSettled(coordinators.map((one) => faults.serverOf(one).snapshot(missing, AbortSignal.timeout(3_000))));
    return answers.every((answer) => answer.status === 'rejected' && isFault(answer.reason, 'BUILD_UNKNOWN'));
  });
  const again = await faults.submit('missing', [stepThat('echo once')]);
  expect(again).not.toBe(missing);
  expect((await faults.end(again)).build.verdict).toBe('succeeded');

  early.open();
  const ended = await faults.end(kept);
  expect(ended.build.verdict).toBe('succeeded');
  expect(ended.steps[0]?.attempts.filter(({ endedWhy }) => endedWhy === 'succeeded')).toHaveLength(1);
});
