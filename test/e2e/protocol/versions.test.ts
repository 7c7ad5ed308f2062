import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROTOCOL as AGENTS } from '../../../agent/session/message.ts';
import { systemClock } from '../../../base/clock.ts';
import { silentLogger } from '../../../base/log.ts';
import { Secret } from '../../../base/secret.ts';
import { PROTOCOL } from '../../../coordinator/rpc/registration.ts';
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
