import { expect, it } from 'vitest';
import { present } from '../../../base/assert.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { buildNumber, eventRecord, stepRecord, submission } from '../../../test/contract/ledger-records.ts';
import { configAt, openAt } from '../../../test/fixtures/redis-ledger.ts';
import { startRedis } from '../../../test/fixtures/redis.ts';
import { until } from '../../../test/fixtures/until.ts';
import { stepIdOf } from '../../core/ids.ts';
import { openConnection, type Connection } from './connection.ts';
import { redisKeys } from './keys.ts';
import { openPatience } from './patience.ts';
import { openReader } from './reader.ts';
import { readScripts } from './scripts.ts';

const signal = new AbortController().signal;
const build = buildNumber(1);
const names = Array.from({ length: 300 }, (_, index) => `step-${index}`);
const [first, last] = [stepIdOf(build, 'step-0'), stepIdOf(build, 'step-299')];

it('reads a large build as it was at one moment, though it changes between the calls', async () => {
  await using redis = await startRedis();
  await using ledger = await openAt(redis.url);
  const term = present(await ledger.lead({ id: 'a', address: 'a:1' }, 60_000, signal), 'the leadership is free');
  await ledger.commit(term, submission(build, names), signal);
  const env = { log: silentLogger, clock: systemClock };
  const config = configAt(redis.url);
  const connection = openConnection({ config, role: 'reads', answerMs: 1_000, env });
  await using _ = { [Symbol.asyncDispose]: async () => connection.close() };
  await until('it is connected', () => connection.state().connected);
  let pages = 0;
  const meanwhile: Connection = {
    ...connection,
    async call(...calls) {
      const answers = await connection.call(...calls);
      if (!calls.some((call) => call.kind === 'command' && call.name === 'HMGET')) return answers;
      pages += 1;
      // The head, then the page with the first step; the last step is read after this.
      if (pages === 2)
        await ledger.commit(term, [stepRecord(first, 1), eventRecord(build, 2), stepRecord(last, 1), eventRecord(build, 3)], signal);
      return answers;
    },
  };
  const patience = openPatience(env, redis.address);
  const reader = openReader({ connection: meanwhile, keys: redisKeys(config.prefix), scripts: readScripts(), patience, env });
  const records = await reader.records(build, signal);
  expect(pages).toBe(4);
  expect(records).toHaveLength(2 + 2 * names.length);
  expect(records.filter((record) => record.kind === 'step' && record.step.attemptCount === 1)).toEqual([
    stepRecord(first, 1),
    stepRecord(last, 1),
  ]);
});
