import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROTOCOL as AGENTS } from '../../../agent/session/message.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { Secret } from '../../../base/secret.ts';
import { PROTOCOL } from '../../../coordinator/rpc/registration.ts';
import { ROOT } from '../../fixtures/root.ts';
import { startNode } from '../../fixtures/run-process.ts';
import { scriptedCoordinator } from '../../fixtures/scripted-coordinator.ts';
import { tempDir } from '../../fixtures/temp-dir.ts';
import { scriptedAgent } from '../../integration/scripted-agent.ts';
import { startStage, type Stage } from './stage.ts';

describe('a coordinator and an agent of another version', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await startStage();
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  const agent = (protocolMin: number, protocolMax: number) =>
    scriptedAgent(stage.yard.address, new Secret(readFileSync(stage.path('coordinator/agent-token'), 'utf8').trim()), {
      agentId: `speaks-${protocolMin}-${protocolMax}`,
      protocolMin,
      protocolMax,
    });

  test.for([
    ['two versions older', PROTOCOL.max - 2, PROTOCOL.max],
    ['two versions newer', PROTOCOL.max, PROTOCOL.max + 2],
    ['the same', PROTOCOL.min, PROTOCOL.max],
  ] as const)('%s agree on the newest that both speak', async ([, min, max]) => {
    await using one = agent(Math.max(0, min), max);
    expect(await one.next('registered')).toMatchObject({ protocol: Math.min(max, PROTOCOL.max) });
  });

  test.for([
    ['older than all that are served', PROTOCOL.min - 1, PROTOCOL.min - 1, 'upgrade the agent'],
    ['newer than all that are served', PROTOCOL.max + 1, PROTOCOL.max + 3, 'upgrade the coordinator'],
  ] as const)('%s: the refusal names both ranges and what to do', async ([, min, max, fix]) => {
    await using one = agent(min, max);
    const { retry, reason } = await one.next('refused');
    expect(retry).toBe(false);
    expect(reason).toContain(`The agent speaks protocol ${min} to ${max}`);
    expect(reason).toContain(`this coordinator ${PROTOCOL.min} to ${PROTOCOL.max}`);
    expect(reason).toContain(fix);
  });
});

test('a real agent says why it ends where a coordinator chose a version that it does not speak', async () => {
  await using dir = await tempDir();
  await using coordinator = await scriptedCoordinator({ log: silentLogger, clock: systemClock });
  coordinator.manners.registered = { protocol: AGENTS.max + 1 };
  await using agent = startNode(['agent/main.ts', '--coordinator', coordinator.address, '--work-dir', dir.path, '--id', 'edge-1']);
  expect((await agent.ended).code).toBe(1);
  expect(agent.stderr()).toContain(`The coordinator chose protocol ${AGENTS.max + 1}; this agent speaks ${AGENTS.min} to ${AGENTS.max}`);
});

describe('a real agent that speaks older versions only', () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await startStage();
  });
  afterAll(() => stage[Symbol.asyncDispose]());

  const agent = (name: string, versions: string) =>
    stage.agent(name, { node: ['--import', join(ROOT, 'test/fixtures/older-agent.ts')], env: { SWITCHYARD_TEST_PROTOCOL: versions } });
  /** Those of a version each from the oldest that is served up to the newest but one. */
  const older = Array.from({ length: PROTOCOL.max - PROTOCOL.min }, (_, index) => PROTOCOL.min + index);

  test('all of the two versions before the newest are served, as far as there were so many', () => {
    expect(PROTOCOL.min).toBeLessThanOrEqual(Math.max(1, PROTOCOL.max - 2));
    expect(older.length).toBeGreaterThan(0);
  });

  test.for(older)('protocol %i: runs steps that take what others left, with their logs', { timeout: 240_000 }, async (version) => {
    const name = `speaks-${version}`;
    agent(name, `${version}-${version}`);
    const { run } = await stage.submit({
      make: { run: 'echo made by make > made', outputs: ['made'], labels: `name=${name}` },
      take: { run: 'cat made', needs: ['make'], labels: `name=${name}` },
    });
    expect(await run.ended, run.stderr()).toEqual({ code: 0, signal: null });
    const taken = createHash('sha256').update('made by make\n').digest('hex');
    expect(run.stdout()).toContain(`"log":{"digest":"${taken}-13"`); // what the second one said: what the first one made
  });

  test('one below all that are served ends, and says both ranges and which side to upgrade', { timeout: 120_000 }, async () => {
    const below = PROTOCOL.min - 1;
    const running = agent('speaks-below', `${below}-${below}`);
    expect((await running.ended).code).toBe(1);
    expect(running.stderr()).toContain(
      `The agent speaks protocol ${below} to ${below}, this coordinator ${PROTOCOL.min} to ${PROTOCOL.max}: upgrade the agent`,
    );
  });
});
