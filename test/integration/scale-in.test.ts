import { expect, test } from 'vitest';
import { openMemoryLedger } from '../../coordinator/ledger/memory.ts';
import { callUnary } from '../../proto/dial.ts';
import { until } from '../fixtures/until.ts';
import { startNode } from './coordinator-node.ts';
import { memoryDataPlane } from './memory-data-plane.ts';
import { scriptedAgent } from './scripted-agent.ts';
import { tokenOf } from './served-coordinator.ts';

const signal = new AbortController().signal;

test('a pool is made smaller through a follower: idle agents are told to drain, those that run go on, and asking again changes nothing', async () => {
  await using stack = new AsyncDisposableStack();
  const options = { ledger: openMemoryLedger(), data: memoryDataPlane() };
  const leader = stack.use(await startNode('first', options));
  await until('it leads', () => leader.roles.current().kind === 'leading');
  const follower = stack.use(await startNode('second', options));
  await follower.roles.known(10_000, signal);
  const agent = (name: string) => {
    const labels = { name, class: 'edge' };
    const one = scriptedAgent(leader.address, tokenOf('agent'), { agentId: name, bootId: name, labels });
    stack.use(one);
    return one;
  };
  const [busy, idle, deploying] = [agent('busy'), agent('idle'), agent('deploying')];
  await Promise.all([busy, idle, deploying].map((one) => one.next('registered')));
  const steps = [
    { name: 'compile', command: ['true'], selector: 'name=busy', cacheable: true },
    { name: 'deploy', command: ['true'], selector: 'name=deploying', sideEffects: true },
  ];
  await callUnary(leader.client('submitter'), 'submitBuild', { idempotencyKey: 'k', name: 'b', steps }, { signal });
  for (const one of [busy, deploying]) {
    const { token } = await one.next('offer');
    one.send({ accept: { token }, running: { token } });
  }
  const operator = follower.client('operator');
  const running = async () => (await callUnary(operator, 'listAgents', {}, { signal })).pools[0]?.running;
  await until('both run', async () => (await running()) === 2);
  const request = { pool: 'c1/edge', keep: 1, reason: 'night', expiresAtMs: 0 };
  const wanted = [
    { agent: 'idle', running: 0 },
    { agent: 'busy', running: 1, sideEffects: 0 },
  ];
  const asked = (over: object) => callUnary(operator, 'scaleIn', { ...request, ...over }, { signal });
  expect(await asked({ dryRun: true })).toMatchObject({ serving: 3, agents: wanted });
  expect((await callUnary(operator, 'listAgents', {}, { signal })).holds).toEqual([]);
  expect(await asked({})).toMatchObject({ serving: 1, agents: wanted });
  expect(await idle.next('drain')).toMatchObject({ reason: 'night' });
  expect(await busy.next('drain')).toMatchObject({ reason: 'night' });
  expect(await running()).toBe(2);
  expect(await asked({})).toEqual({ serving: 1, agents: [] });
  expect((await callUnary(operator, 'listAgents', {}, { signal })).holds.map(({ target }) => target).toSorted()).toEqual([
    'agent:busy',
    'agent:idle',
  ]);
  await expect(asked({ pool: 'edge' })).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'pool' });
  await expect(asked({ pool: 'c1/egde' })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('those that have are c1/edge'),
  });
  await expect(asked({ reason: '' })).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'reason' });
  await expect(asked({ expiresAtMs: 1 })).rejects.toMatchObject({ code: 'BAD_REQUEST', field: 'expires_at_ms' });
});
