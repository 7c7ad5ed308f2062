import { describe, expect, test } from 'vitest';
import { needs } from '../../fixtures/host.ts';
import { PATIENCE_MS, until } from '../../fixtures/until.ts';
import { gated, requestOf, stepThat } from './fault-yard.ts';
import { COORDINATOR_HOSTS, startNetYard, type NetYard } from './net-yard.ts';

const LEASE_MS = 4_500;
const TERM_MS = 1_500;
const TIMES = { leaseMs: LEASE_MS, termMs: TERM_MS, offerMs: 2_000 };
const ONCE = { verdict: 'succeeded', attempts: [{ number: 1, endedWhy: 'succeeded' }] };

const tokenOf = async (yard: NetYard, build: string) => (await yard.snapshot(build)).steps[0]?.attempts[0]?.token ?? '';
const logKeyOf = (token: string) => `{switchyard}:log:${token}`;

describe.runIf(needs('netns'))('hosts that packets are dropped between', { timeout: 240_000 }, () => {
  test('an agent that no coordinator reaches finishes its pure steps, whose results count once; a leader without Redis gives way', async () => {
    await using yard = await startNetYard(TIMES);
    const { lab } = yard;

    // From the agent's side for less than a lease: nobody else is given the step, and the result waits for the link.
    const first = gated(yard.dir, 'first');
    const one = await yard.submit('agent-cut', [stepThat(first.script)]);
    await yard.running(one);
    for (const host of COORDINATOR_HOSTS) lab.partitionOneWay('agent', host);
    first.open();
    // How long the partition lasts is the fault itself; nothing that could be waited for happens meanwhile.
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 3));
    lab.heal();
    expect((await yard.end(one)).steps).toMatchObject([ONCE]);

    // The leader alone loses Redis: the other one leads, and the running step is not run again.
    const second = gated(yard.dir, 'second');
    const two = await yard.submit('redis-cut', [stepThat(second.script)]);
    await yard.running(two);
    const before = yard.leader();
    lab.partition(before, 'redis');
    await until('the other one leads', () => yard.leader() !== before);
    second.open();
    expect((await yard.end(two)).steps).toMatchObject([ONCE]);
    lab.heal();
    const after = await yard.end(await yard.submit('after', [stepThat('echo after')]));
    expect(after.build.verdict).toBe('succeeded');
  });

  test('a leader whose requests reach Redis and that hears no answer gives way; what it committed last is there once', async () => {
    await using yard = await startNetYard(TIMES);
    const { lab, redis } = yard;
    const buildsInRedis = async () => (await redis.keys('{switchyard}:build:*')).filter((key) => /:build:b-[^:]+$/.test(key)).length;
    const gate = gated(yard.dir, 'one-way');
    const early = await yard.submit('early', [stepThat(gate.script)]);
    await yard.running(early);
    const before = yard.leader();
    // A commit that is under way when the answers stop would keep the next one from being sent.
    await until('nothing more is to be committed', async () => (await redis.hlen(logKeyOf(await tokenOf(yard, early)))) > 0);
    const known = await buildsInRedis();
    expect(known).toBe(1);

    lab.partitionOneWay('redis', before);
    const request = requestOf('unanswered', [stepThat(`echo ran >> '${yard.dir}/ran'`)]);
    const unanswered = yard.serverOf(before).submit(request, AbortSignal.timeout(10 * TERM_MS));
    await Promise.all([
      expect(unanswered).rejects.toThrow(),
      until('its commit is in Redis', async () => (await buildsInRedis()) === known + 1),
      until('the other one leads', () => yard.leader() !== before),
    ]);

    const again = await yard.serverOf(yard.leader()).submit(request, AbortSignal.timeout(PATIENCE_MS));
    expect(again.existing).toBe(true);
    expect(await buildsInRedis()).toBe(known + 1);
    expect((await yard.end(again.id)).steps).toMatchObject([ONCE]);
    gate.open();
    expect((await yard.end(early)).steps).toMatchObject([ONCE]);

    lab.heal();
    expect(await yard.submit('unanswered', request.steps)).toBe(again.id);
    for (const host of COORDINATOR_HOSTS) {
      const builds = await until(`${host} answers`, () =>
        yard.serverOf(host).list({ labels: {}, phase: undefined, verdict: undefined, limit: 10 }, AbortSignal.timeout(5_000)),
      );
      expect(builds.filter(({ name }) => name === 'unanswered').map(({ id }) => id)).toEqual([again.id]);
    }
    const kinds: string[] = [];
    for await (const { kind } of yard.serverOf(yard.leader()).watch(again.id, '', AbortSignal.timeout(PATIENCE_MS))) kinds.push(kind);
    expect(kinds.filter((kind) => kind === 'build-accepted')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'attempt-started')).toHaveLength(1);
  });
});
