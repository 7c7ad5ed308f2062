import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { startSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { endOf, snapshotOf, submittedBy, writeFiles } from './real-yard.ts';
import { skewedBy, startRedisYard } from './redis-yard.ts';

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

function linesOf(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

test(
  'coordinators whose clocks are hours apart take over from each other: no running step runs again, and all tell the same time',
  { timeout: 240_000 },
  async () => {
    await using yard = await startRedisYard({
      coordinators: 2,
      agents: { one: 8 },
      skewsMs: [0, HOUR_MS],
      coordinatorArgs: ['--lease-ttl', '10s', '--heartbeat', '1s'],
    });
    const [right, ahead] = yard.members;
    if (right === undefined || ahead === undefined) throw new Error('There are two');
    expect((await yard.leader()).address).toBe(right.address);
    const journal = join(yard.dir, 'journal');
    const gateOf = (index: number) => join(yard.dir, `gate-${index % 3}`);
    // What they leave goes to the data plane of whoever leads by then. Those with effects would not be retried, but end in an error.
    const steps = Array.from({ length: 6 }, (_, index) => {
      const run = `echo begun >> '${journal}'; while [ ! -e '${gateOf(index)}' ]; do sleep 0.3; done; echo $$ > left`;
      return `  s${index}: { run: "${run}", outputs: [left], cache: false, sideEffects: ${index % 2 === 0} }\n`;
    });
    await writeFiles(yard.work, { 'wait.yaml': `version: 1\ndefaults: { timeout: 5m }\nsteps:\n${steps.join('')}` });
    await using command = startSwitchyard(['run', '-o', 'json', '-f', 'wait.yaml', ...yard.at], { cwd: yard.work });
    const build = await submittedBy(command);
    await until('all steps run', () => linesOf(journal).length === 6);
    // First to the clock that is an hour ahead, then back to the one that is right.
    for (const [from, to] of [
      [right, ahead],
      [ahead, right],
    ] as const) {
      await from.end('SIGKILL');
      await until('the other one leads', async () => (await to.ask()).coordinatorRole === 'COORDINATOR_ROLE_LEADING');
      const agents = async () => (await yard.server.agents(never)).agents;
      await until('its agent is back', async () => (await agents())[0]?.connected === true);
      await from.start();
      const said = await Promise.all([from.ask(), to.ask()]);
      for (const { nowMs } of said) expect(Math.abs(Number(nowMs) - systemClock.now())).toBeLessThan(HOUR_MS / 10);
      writeFileSync(gateOf(to === ahead ? 0 : 1), '');
      const ended = async () => (await snapshotOf(yard.server, build)).steps.filter(({ phase }) => phase === 'ended').length;
      await until('two more have ended', async () => (await ended()) === (to === ahead ? 2 : 4));
    }
    writeFileSync(gateOf(2), '');
    expect((await command.ended).code).toBe(0);
    expect(linesOf(journal)).toHaveLength(6);
    const end = await endOf(yard.server, build);
    expect(end.steps.map(({ attempts, verdict }) => [attempts.length, verdict])).toEqual(end.steps.map(() => [1, 'succeeded']));
    for (const { startedAtMs = 0, endedAtMs = 0 } of end.steps) {
      expect(endedAtMs).toBeGreaterThanOrEqual(startedAtMs);
      expect(endedAtMs - startedAtMs).toBeLessThan(HOUR_MS / 10);
    }
  },
);

test('a pause lasts as long as its caller says, though the clocks of caller and followers are hours off', async () => {
  await using yard = await startRedisYard({ coordinators: 2, agents: {}, skewsMs: [0, HOUR_MS] });
  const leader = await yard.leader();
  const follower = yard.members.find((member) => member !== leader);
  if (follower === undefined) throw new Error('There are two');
  for (const skewMs of [-3 * HOUR_MS, 3 * HOUR_MS]) {
    const env = skewedBy(skewMs);
    for (const { address } of [leader, follower]) {
      const pause = ['pause', 'agent:one', '--reason', 'new fan', '--for', '30m', '--server', address];
      await using command = startSwitchyard(pause, { cwd: yard.work, env });
      expect((await command.ended).code).toBe(0);
      const [hold] = (await yard.server.agents(never)).holds;
      expect(Math.abs((hold?.expiresAtMs ?? 0) - systemClock.now() - HOUR_MS / 2)).toBeLessThan(HOUR_MS / 10);
      await using list = startSwitchyard(['agents', '--server', address], { cwd: yard.work, env });
      expect((await list.ended).code).toBe(0);
      expect(list.stdout()).toMatch(/agent:one: pause by local for another (30m|29m)/);
    }
  }
});
