import { expect, test } from 'vitest';
import { startRedis } from '../fixtures/redis.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';

type Finding = { readonly check: string; readonly result: string; readonly found: string; readonly fix?: string };

/** What doctor says about Redis where these variables are set. */
async function findings(env: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  await using dir = await tempDir();
  const { stdout } = await runSwitchyard(['doctor', '-o', 'json'], { cwd: dir.path, env });
  const { findings: all } = JSON.parse(stdout) as { findings: readonly Finding[] }; // the form that the command promises
  return all.filter(({ check }) => check === 'redis');
}

test('doctor says nothing of Redis where no coordinator here would use one', async () => {
  expect(await findings({})).toEqual([]);
});

test('doctor reaches the Redis that a coordinator here would use, and leaves nothing in it', async () => {
  await using redis = await startRedis();
  const found = await findings({ SWITCHYARD_COORDINATOR_REDIS_URL: redis.url });
  expect(found).toMatchObject([{ result: 'ok', found: expect.stringMatching(/ 7\.[\d.]+, durability memory; no coordinator leads$/) }]);
  expect(await redis.command('DBSIZE')).toBe(0);
  await redis.stop();
  expect(await findings({ SWITCHYARD_COORDINATOR_REDIS_URL: redis.url })).toMatchObject([
    { result: 'bad', found: expect.stringContaining(redis.address), fix: expect.stringContaining('Check that it runs') },
  ]);
});
