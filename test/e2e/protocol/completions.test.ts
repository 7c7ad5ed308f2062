import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prngFrom } from '../../../base/prng.ts';
import { Secret } from '../../../base/secret.ts';
import { callUnary, dial } from '../../../proto/dial.ts';
import type { AgentMessage } from '../../../proto/gen/switchyard/v1/AgentMessage.ts';
import type { BuildClient } from '../../../proto/gen/switchyard/v1/Build.ts';
import type { HeldLease } from '../../../proto/gen/switchyard/v1/HeldLease.ts';
import { loadProto } from '../../../proto/load.ts';
import { scriptedAgent, type ScriptedAgent } from '../../integration/scripted-agent.ts';
import { endOf, stepOf } from '../real-yard.ts';
import { startStage, type Stage } from './stage.ts';

const signal = new AbortController().signal;
const report = (exitCode = 0) => ({
  ...(exitCode === 0 ? {} : { failureClass: 'FAILURE_CLASS_EXIT' as const }),
  result: { exitCode, agent: 'edge-1', usage: {} },
});
const finished = (token: string, exitCode = 0): AgentMessage => ({ finished: { token, report: report(exitCode) } });

/** A real coordinator; what its agents say is up to the tests. */
describe('a completion', () => {
  let stage: Stage;
  let client: BuildClient;
  let count = 0;

  beforeAll(async () => {
    stage = await startStage({ coordinatorArgs: ['--lease-ttl', '10s', '--heartbeat', '2s', '--offer-ttl', '30s'] });
    client = dial(loadProto().switchyard.v1.Build, { address: stage.yard.address, token: undefined }, 'control');
  });

  afterAll(async () => {
    client.close();
    await stage[Symbol.asyncDispose]();
  });

  async function submit(steps: readonly string[]): Promise<string> {
    count += 1;
    const specs = steps.map((name) => ({ name, command: ['true'], sideEffects: false, selector: `test=t${count}` }));
    const { buildId } = await callUnary(client, 'submitBuild', { idempotencyKey: `k${count}`, name: 'b', steps: specs }, { signal });
    return buildId;
  }

  /** An agent that only the current test's steps may run on. */
  function agent(name: string, held: readonly HeldLease[] = []): ScriptedAgent {
    const token = new Secret(readFileSync(stage.path('coordinator/agent-token'), 'utf8').trim());
    const register = { agentId: `${name}-${count}`, labels: { test: `t${count}` }, held: [...held] };
    return scriptedAgent(stage.yard.address, token, register);
  }

  async function take(from: ScriptedAgent): Promise<string> {
    const { token } = await from.next('offer');
    from.send({ accept: { token } }, { running: { token } });
    return token;
  }

  test('that comes again, with the same or with other words, was accepted before and changes nothing', async () => {
    const build = await submit(['one']);
    await using edge = agent('edge');
    const token = await take(edge);
    edge.send(finished(token), finished(token), finished(token, 1));
    const verdicts = [];
    for (let reply = 0; reply < 3; reply += 1) verdicts.push((await edge.next('finishedReply')).verdict);
    expect(verdicts).toEqual(['ACCEPTED', 'ALREADY_ACCEPTED', 'ALREADY_ACCEPTED']);
    expect((await endOf(stage.yard.server, build)).steps).toMatchObject([{ verdict: 'succeeded', result: { exitCode: 0 } }]);
  });

  test('whose answer was lost is offered again on the next stream, and was accepted before', async () => {
    const build = await submit(['one']);
    const first = agent('edge');
    const token = await take(first);
    first.send(finished(token));
    await endOf(stage.yard.server, build);
    await first[Symbol.asyncDispose](); // its answer is never read
    await using again = agent('edge', [{ token, started: true, finished: report() }]);
    expect(await again.next('finishedReply')).toMatchObject({ token, verdict: 'ALREADY_ACCEPTED' });
  });

  test('that was lost with its stream is brought by the next one, and accepted', async () => {
    const build = await submit(['one']);
    const first = agent('edge');
    const token = await take(first);
    await first[Symbol.asyncDispose]();
    await using again = agent('edge', [{ token, started: true, finished: report() }]);
    expect(await again.next('finishedReply')).toMatchObject({ token, verdict: 'ACCEPTED' });
    expect((await endOf(stage.yard.server, build)).steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ number: 1 }] }]);
  });

  test('that comes before the words that should go before it is accepted, and they change nothing after it', async () => {
    const build = await submit(['one']);
    await using edge = agent('edge');
    const { token } = await edge.next('offer');
    edge.send(
      { accept: { token } },
      finished(token),
      { running: { token } },
      { accept: { token } },
      { heartbeat: { tokens: [], credits: 4 } },
    );
    expect(await edge.next('finishedReply')).toMatchObject({ verdict: 'ACCEPTED' });
    await edge.next('heartbeatReply');
    expect((await endOf(stage.yard.server, build)).steps).toMatchObject([{ verdict: 'succeeded', attempts: [{ number: 1 }] }]);
  });

  test('that is late, after the step was given to another agent, is fenced, and the other one counts', async () => {
    const build = await submit(['one']);
    await using slow = agent('slow');
    const stale = await take(slow);
    // It says nothing more, and so its lease ends; then another agent gets the step.
    await using quick = agent('quick');
    const token = await take(quick);
    expect(token).not.toBe(stale);
    slow.send(finished(stale));
    expect(await slow.next('finishedReply')).toMatchObject({ token: stale, verdict: 'FENCED' });
    quick.send(finished(token, 3));
    expect(await quick.next('finishedReply')).toMatchObject({ token, verdict: 'ACCEPTED' });
    expect(await stepOf(stage.yard.server, build, 'one')).toMatchObject({ verdict: 'failed', result: { exitCode: 3 } });
  });

  test('is accepted once for each of 200 steps, whatever is repeated, reordered, delayed or lost on the way', async () => {
    const prng = prngFrom(11);
    const names = Array.from({ length: 200 }, (_, index) => `s${index}`);
    const build = await submit(names);
    const accepted = new Map<string, number>();
    const held = new Map<string, HeldLease>();
    let edge = agent('edge');
    const hear = async (): Promise<void> => {
      const { token, verdict } = await edge.next('finishedReply');
      if (verdict === 'ACCEPTED') accepted.set(token, (accepted.get(token) ?? 0) + 1);
      expect(verdict).not.toBe('FENCED');
      held.delete(token);
    };
    for (let done = 0; done < names.length; done += 1) {
      const token = await take(edge);
      held.set(token, { token, started: true, finished: report() });
      const fate = Math.floor(prng.next() * 5);
      if (fate === 0) edge.send(finished(token), finished(token));
      else if (fate === 1) edge.send(finished(token), { running: { token } }, { accept: { token } });
      else if (fate === 2) edge.send({ heartbeat: { tokens: [token], credits: 4 } }, finished(token));
      else {
        // Lost, before or after the coordinator has it: the stream breaks, and the next one brings what was not answered.
        if (fate === 3) edge.send(finished(token));
        await edge[Symbol.asyncDispose]();
        edge = agent('edge', [...held.values()]);
        await edge.next('registered');
      }
      while (held.size > 0) await hear();
      edge.send({ heartbeat: { tokens: [], credits: 4 } });
    }
    await edge[Symbol.asyncDispose]();
    const { steps } = await endOf(stage.yard.server, build);
    expect(steps.filter((step) => step.verdict === 'succeeded' && step.attempts.length === 1)).toHaveLength(names.length);
    expect([...accepted.values()].filter((times) => times > 1)).toEqual([]);
  });
});
