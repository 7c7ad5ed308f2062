import { expect, test } from 'vitest';
import type { FleetView } from '../../cli/build-view.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { startRedisYard, type Member } from './redis-yard.ts';

type Verdict = {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason: string }[];
};

async function readiness(member: Member): Promise<Verdict> {
  const answer = await fetch(`${member.probes}/readyz`);
  return (await answer.json()) as Verdict; // the form that docs/operations.md shows
}

test('operators see how Redis answers, and that it is Redis when nobody can lead', async () => {
  await using yard = await startRedisYard({ coordinators: 1, agents: { one: 1 } });
  const [member] = yard.members;
  if (member === undefined) throw new Error('The yard has a coordinator');
  await until('it is ready', async () => (await readiness(member)).ok);
  const well = (await readiness(member)).checks.find(({ name }) => name === 'redis');
  expect(well).toMatchObject({ ok: true, reason: expect.stringMatching(/^(Redis|Valkey) 7\.[\d.]+ at [\d.:]+, answered in [\d.]+ ms$/) });

  const json = await runSwitchyard(['agents', '-o', 'json', ...yard.at], { cwd: yard.work });
  const { dependencies } = JSON.parse(json.stdout) as FleetView; // the form that the command promises
  expect(dependencies).toMatchObject([
    { name: 'store' },
    { name: 'redis', breaker: { state: 'closed' }, detail: expect.stringContaining(yard.redis.address) },
  ]);
  const text = await runSwitchyard(['agents', ...yard.at], { cwd: yard.work });
  expect(text.stdout).toMatch(/^redis +answers +\d+ +(Redis|Valkey) 7/m);

  await yard.redis.stop();
  const ill = await until('it says that Redis is away', async () => {
    const { ok, checks } = await readiness(member);
    return !ok && checks.find((check) => check.name === 'redis' && !check.ok);
  });
  expect(ill.reason).toMatch(/, not connected for \d+ s \(connect ECONNREFUSED [\d.:]+\)$/);
  const refused = await until('the command says why nobody leads', async () => {
    const { code, stderr } = await runSwitchyard(['agents', ...yard.at], { cwd: yard.work });
    return code !== 0 && /No coordinator leads/.test(stderr) && stderr;
  });
  expect(refused).toMatch(/No coordinator leads at the moment: (Redis|Valkey) 7\.[\d.]+ at [\d.:]+, not connected for \d+ s/);
});
