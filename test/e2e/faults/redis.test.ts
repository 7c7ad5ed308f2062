import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFault } from '../../../base/fault.ts';
import type { RedisServer } from '../../fixtures/redis.ts';
import { readAgentJournal } from '../../fixtures/agent-journal.ts';
import { until } from '../../fixtures/until.ts';
import { gated, hasLogged, requestOf, startFaultYard, stepThat, type FaultYard } from './fault-yard.ts';

const attemptsOf = async (faults: FaultYard, build: string) =>
  (await faults.end(build)).steps.map(({ verdict, attempts }) => [verdict, attempts.length]);

describe('Redis', () => {
  let faults: FaultYard;
  let redis: RedisServer;

  beforeAll(async () => {
    faults = await startFaultYard();
    if (faults.yard.redis === undefined) throw new Error('The yard has no Redis');
    redis = faults.yard.redis;
  });
  afterAll(() => faults[Symbol.asyncDispose]());

  /** A build that runs when this resolves. */
  async function underWay(key: string) {
    const gate = gated(faults.dir, key);
    const build = await faults.submit(key, [stepThat(gate.script), stepThat('echo after', { name: 'b', needs: [{ step: 'a' }] })]);
    await faults.running(build, 'a');
    return { build, open: gate.open };
  }

  /** What a submission is answered at the moment, by the coordinator that led last. */
  async function refusal(key: string): Promise<string> {
    const answers = await Promise.all(
      faults.yard.coordinators.map(async (one) => {
        try {
          // For longer than they wait for somebody to lead.
          return (await faults.serverOf(one).submit(requestOf(key, [stepThat('true')]), AbortSignal.timeout(8_000))).id;
        } catch (error) {
          return isFault(error) ? error.code : String(error);
        }
      }),
    );
    return answers.join(' ');
  }

  test('killed and started again on its file: what runs goes on, what was accepted ends, nothing is run again', async () => {
    const { build, open } = await underWay('killed');
    await redis.kill9();
    expect(await refusal('while-killed')).not.toMatch(/b-/);
    open();
    await redis.start();
    expect(await attemptsOf(faults, build)).toEqual([
      ['succeeded', 1],
      ['succeeded', 1],
    ]);
    const again = await faults.submit('while-killed', [stepThat('true')]);
    expect(await faults.submit('while-killed', [stepThat('true')])).toBe(again);
    expect((await faults.end(again)).build.verdict).toBe('succeeded');
  });

  test.each([
    ['full', ['maxmemory', '1'], ['maxmemory', '0'], 'OOM'],
    ['without its replicas', ['min-replicas-to-write', '1'], ['min-replicas-to-write', '0'], 'NOREPLICAS'],
  ] as const)('%s: nothing is accepted, the log says why, and it all goes on by itself afterwards', async (name, bad, good, word) => {
    const key = name.replaceAll(' ', '-');
    const { build, open } = await underWay(key);
    expect(await redis.command('CONFIG', 'SET', ...bad)).toBe('OK');
    expect(await refusal(`while-${key}`)).not.toMatch(/b-/);
    try {
      const said = () => faults.yard.coordinators.some((one) => hasLogged(one, word));
      await until('the log says why', said);
      await until('callers are told', async () => /LEDGER_UNAVAILABLE|NO_LEADER/.test(await refusal(`told-${key}`)));
      open();
    } finally {
      // The tests after this one need Redis as it was.
      expect(await redis.command('CONFIG', 'SET', ...good)).toBe('OK');
    }
    expect(await attemptsOf(faults, build)).toEqual([
      ['succeeded', 1],
      ['succeeded', 1],
    ]);
    expect((await faults.end(await faults.submit(`while-${key}`, [stepThat('true')]))).build.verdict).toBe('succeeded');
  });

  test('that answers nothing for longer than a term: somebody leads again, and running steps are not run again', async () => {
    const { build, open } = await underWay('paused');
    await redis.command('CLIENT', 'PAUSE', 4_000, 'ALL');
    open();
    expect(await attemptsOf(faults, build)).toEqual([
      ['succeeded', 1],
      ['succeeded', 1],
    ]);
  });

  test('started empty: callers are told that their build is not known, the same key makes it anew, old tokens are fenced', async () => {
    const { build, open } = await underWay('emptied');
    const token = (await faults.step(build, 'a')).attempts[0]?.token ?? '';
    const { cursor } = await faults.snapshot(build);
    const store = await redis.command('HGET', '{switchyard}:meta', 'store');
    await redis.kill9();
    await redis.start({ empty: true });
    const leader = await faults.leader();
    const server = faults.serverOf(leader);
    const told = async (call: () => Promise<unknown>) =>
      until('it answers', async () => {
        try {
          await call();
          return 'nothing is wrong';
        } catch (error) {
          return isFault(error) && ['BUILD_UNKNOWN', 'CURSOR_EXPIRED'].includes(error.code) && error.code;
        }
      });
    expect(await told(() => server.snapshot(build, AbortSignal.timeout(5_000)))).toBe('BUILD_UNKNOWN');
    expect(
      await told(async () => {
        for await (const _event of server.watch(build, cursor, AbortSignal.timeout(5_000)));
      }),
    ).toMatch(/^(BUILD_UNKNOWN|CURSOR_EXPIRED)$/);
    open();
    const lines = () => faults.yard.agents.flatMap(({ workDir }) => readAgentJournal(workDir));
    const over = () =>
      lines().filter((line) => 'token' in line && line.token === token && (line.event === 'stopped' || line.event === 'answered'));
    await until('the agent was told what its attempt is worth', () => over().length > 0);
    expect(over().map((line) => ('verdict' in line ? line.verdict : 'stopped'))).not.toContain('accepted');
    const again = await faults.submit('emptied', [stepThat('echo again')]);
    expect(again).not.toBe(build);
    expect((await faults.end(again)).build.verdict).toBe('succeeded');
    expect(await redis.command('HGET', '{switchyard}:meta', 'store')).toBe(store); // nobody joins with another directory of blobs
  });
});
