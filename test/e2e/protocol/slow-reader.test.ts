import { readFileSync } from 'node:fs';
import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { Secret } from '../../../base/secret.ts';
import { dial } from '../../../proto/dial.ts';
import { loadProto } from '../../../proto/load.ts';
import { until } from '../../fixtures/until.ts';
import { REGISTER } from '../../integration/scripted-agent.ts';
import { peakMemoryOf } from '../processes.ts';
import { startStage } from './stage.ts';

const never = new AbortController().signal;
/** Enough answers to fill all windows and the coordinator's own queue, several times over. */
const HEARTBEATS = 60_000;
const TOKENS = Array.from({ length: 100 }, (_, index) => `${String(index).padStart(32, '0')}.1`);
const MEMORY_BYTES = 256 * 1024 * 1024;

test('an agent that asks and never reads is cut off with bounded memory, and others notice nothing', async () => {
  await using stage = await startStage();
  const good = stage.agent('good');
  await good.ready();
  const token = new Secret(readFileSync(stage.path('coordinator/agent-token'), 'utf8').trim());
  const client = dial(loadProto().switchyard.v1.Agent, { address: stage.yard.address, token }, 'control');
  const before = peakMemoryOf(stage.yard.coordinator.pid);
  const call = client.session(new Metadata());
  call.on('error', () => {}); // whatever ends it
  call.read(0); // grpc-js holds its messages back only once it was asked for one: some are taken, and then no more
  call.write({ messages: [{ register: { ...REGISTER, agentId: 'deaf' } }] });
  const seen = async () => (await stage.yard.server.agents(never)).agents.find(({ agent }) => agent === 'deaf');
  await until('it is registered', async () => (await seen())?.connected);
  const heartbeat = { messages: [{ heartbeat: { tokens: TOKENS, credits: 0 } }] };
  const over = new AbortController();
  const cutOff = until('it is cut off', async () => (await seen())?.connected === false, 120_000).finally(() => over.abort());
  for (let sent = 0; sent < HEARTBEATS && !over.signal.aborted; sent += 1) {
    if (!call.write(heartbeat)) await Promise.race([new Promise((resolve) => call.once('drain', resolve)), cutOff]);
  }
  await cutOff;
  expect(peakMemoryOf(stage.yard.coordinator.pid) - before).toBeLessThan(MEMORY_BYTES);
  const { run } = await stage.submit({ a: { run: 'true', labels: 'name=good' } });
  expect((await run.ended).code).toBe(0);
  expect(stage.journal('good').filter(({ event }) => event === 'registered')).toHaveLength(1);
  call.cancel();
  client.close();
});
