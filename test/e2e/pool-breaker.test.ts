import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../fixtures/ports.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { until } from '../fixtures/until.ts';
import { startRealYard } from './real-yard.ts';

const never = new AbortController().signal;

async function get(port: number, path: string): Promise<{ readonly status: number; readonly body: string }> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: answer.status, body: await answer.text() };
}

test('a pool whose agents can run nothing is held back, which explain, the list of agents and metrics say', async () => {
  const [port = 0] = await freePorts(1);
  await using yard = await startRealYard({ agents: ['one', 'two'], coordinatorArgs: ['--metrics-listen', `127.0.0.1:${port}`] });
  // No step can be given a directory any more, at either of them.
  for (const name of ['one', 'two']) {
    await rm(join(yard.dir, name, 'workspaces'), { recursive: true });
    await writeFile(join(yard.dir, name, 'workspaces'), 'in the way');
  }
  const steps = Array.from({ length: 6 }, (_, index) => ({
    name: `s${index}`,
    command: ['true'],
    resources: { slots: 1 },
    retry: { limits: [{ class: 'FAILURE_CLASS_SANDBOX_ERROR' as const, retries: 50 }] },
  }));
  const { id } = await yard.server.submit({ name: 'nowhere', idempotencyKey: 'nowhere', steps }, never);
  const pool = await until('the pool is held back', async () => (await yard.server.agents(never)).pools.find(({ why }) => why !== ''));
  expect(pool).toMatchObject({ agents: 2, connected: 2, taking: 0, why: expect.stringContaining(`pool ${pool.name} is held back`) });
  const { body } = await get(port, '/metrics');
  const opened = new RegExp(
    `^switchyard_pool_breakers_opened_total [1-9]|^switchyard_pool_breaker_state{pool="${pool.name}",state="(open|half-open)"} 1`,
    'm',
  );
  expect(body).toMatch(opened);
  const { stdout } = await runSwitchyard(['agents', ...yard.at], { cwd: yard.work });
  expect(stdout).toMatch(new RegExp(`^${pool.name} +2 +2 +0 +`, 'm'));
  expect(stdout).toContain(`pool ${pool.name} is held back: `);
  const reasons = await until('explain says so', async () => {
    const { reasons: said } = await yard.server.explain(id, 's0', never);
    return said.some((reason) => /is held back|its breaker is/.test(reason)) && said;
  });
  expect(reasons.join()).toContain('sandbox-error');
});

test('an agent answers probes and collectors at the address that it was given', async () => {
  const [port = 0] = await freePorts(1);
  await using yard = await startRealYard({ agents: ['one'], agentArgs: ['--metrics-listen', `127.0.0.1:${port}`] });
  expect(await get(port, '/livez')).toMatchObject({ status: 200 });
  await until('it is registered', async () => (await get(port, '/readyz')).status === 200);
  const { status, body } = await get(port, '/metrics');
  expect(status).toBe(200);
  expect(body).toMatch(/^switchyard_agent_cordoned 0$/m);
  expect(body).toContain('switchyard_dependency_breaker_state{dependency="store",state="closed"} 1');
  expect((await get(port, '/else')).body).toContain('/readyz');
  expect(yard.agent('one').pid).toBeGreaterThan(0);
});
