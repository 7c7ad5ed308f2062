import { expect, test } from 'vitest';
import { leaseTokenOf } from './ids.ts';
import { DEFAULT_RETRY } from './spec.ts';
import { actionOf, buildId, failure, RESULT, sessionOf, Stage, stepId, SUCCESS, told } from '../../test/scenarios/stage.ts';

/** A token that no lease of these tests has. */
const STRANGE = leaseTokenOf('ff', 1);

function running(options: ConstructorParameters<typeof Stage>[0] = {}): Stage {
  const stage = new Stage(options);
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  return stage;
}

test('the build record is the last of a submission, and the reply names the build', () => {
  const stage = new Stage();
  const { writes, reply } = stage.submit('b1', [{ name: 'x' }, { name: 'y', needs: ['x'] }]);
  expect(writes.at(-1)?.kind).toBe('build');
  expect(reply).toEqual({ kind: 'build', id: buildId('b1'), existing: false });
});

test('the same request under the same key is the same build; another one is refused', () => {
  const stage = new Stage();
  const one = { key: 'k', name: 'one' };
  stage.submit('b1', [{ name: 'x' }], one);
  const repeated = { writes: [], reply: { id: buildId('b1'), existing: true } };
  expect(stage.submit('b2', [{ name: 'x' }], one)).toMatchObject(repeated);
  stage.crash();
  expect(stage.submit('b2', [{ name: 'x' }], one)).toMatchObject(repeated);
  const refused = { code: 'IDEMPOTENCY_CONFLICT' };
  expect(stage.submit('b2', [{ name: 'y' }], one).reply).toMatchObject(refused);
  expect(stage.submit('b2', [{ name: 'x', env: { A: '1' } }], one).reply).toMatchObject(refused);
  expect(stage.submit('b2', [{ name: 'x' }, { name: 'y' }], one).reply).toMatchObject(refused);
  expect(stage.submit('b2', [{ name: 'x' }], { ...one, weight: 2 }).reply).toMatchObject(refused);
  // Keys are often the name of a branch or commit: another project or scope cannot be in the way.
  for (const [name, owner] of [['b3', { project: 'q' }] as const, ['b4', { scope: 'main/pr-7' }] as const]) {
    const { reply } = stage.submit(name, [{ name: 'y' }], { ...one, ...owner });
    expect(reply).toMatchObject({ kind: 'build', existing: false });
  }
});

test('a step goes from submission to success, and its dependent becomes ready in the same outcome', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }, { name: 'y', needs: ['x'] }]);
  expect(told(stage.ready('b1/x'))).toEqual(['a1#1 offer']);
  const outcome = stage.run('b1/x');
  expect(stage.state('b1/x')).toMatchObject({ kind: 'ended', outcome: { kind: 'succeeded', from: 'run' } });
  expect(stage.state('b1/y').kind).toBe('resolving');
  expect(told(outcome)).toEqual(['close-log', 'publish', 'a1#1 result-reply', 'resolve']);
  stage.ready('b1/y');
  stage.run('b1/y');
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'succeeded', degraded: [] });
  expect(stage.last.wakeAt).toBeUndefined();
});

test('only cacheable steps that exited with 0 are published', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x', cacheable: false }]);
  stage.ready('b1/x');
  expect(told(stage.run('b1/x'))).not.toContain('publish');
});

test('a cache hit ends the step without an agent', () => {
  const stage = new Stage();
  stage.submit('b1', [{ name: 'x' }]);
  stage.apply({ kind: 'step-resolved', step: stepId('b1/x'), resolution: { kind: 'hit', action: actionOf('x', {}), result: RESULT } });
  expect(stage.state('b1/x')).toMatchObject({ outcome: { kind: 'succeeded', from: 'cache' } });
  expect(stage.scheduler.build(buildId('b1'))?.fromCacheCount).toBe(1);
});

test('invalid inputs fail the step, lost ones are an error; an unavailable cache is asked again later', () => {
  const stage = new Stage();
  stage.submit('b1', [{ name: 'x' }, { name: 'y' }, { name: 'z' }]);
  stage.apply({ kind: 'step-resolved', step: stepId('b1/x'), resolution: { kind: 'invalid', message: 'src/a.c comes from two steps' } });
  expect(stage.state('b1/x')).toMatchObject({ outcome: { kind: 'failed', message: 'src/a.c comes from two steps' } });
  stage.apply({ kind: 'step-resolved', step: stepId('b1/z'), resolution: { kind: 'inputs-lost', message: 'blob gone' } });
  expect(stage.state('b1/z')).toMatchObject({ outcome: { kind: 'errored', class: 'cache-error', message: 'blob gone' } });
  stage.apply({ kind: 'step-resolved', step: stepId('b1/y'), resolution: { kind: 'unavailable', message: 'down' } });
  expect(stage.state('b1/y').kind).toBe('resolving');
  expect(stage.advance(60_000).flatMap((outcome) => told(outcome))).toEqual(['resolve']);
});

test('an offer that nobody accepts goes back without an attempt, and elsewhere first', () => {
  const stage = running();
  stage.agent('a2');
  stage.advance(2_000);
  expect(told(stage.last)).toEqual(['a1#1 offer-withdrawn', 'a2#1 offer']);
  expect(stage.scheduler.step(stepId('b1/x'))?.record).toMatchObject({ attemptCount: 0, attempts: [], failures: {} });
});

test('an agent that turned a step down is not asked again for a while, though it is the only one', () => {
  const stage = running();
  stage.reject('b1/x');
  expect(stage.state('b1/x').kind).toBe('queued');
  stage.advance(9_999);
  expect(stage.state('b1/x').kind).toBe('queued');
  stage.advance(1);
  expect(stage.placeOf('b1/x')).toBe('a1');
});

test('there are never more offers than credits', () => {
  const stage = new Stage();
  stage.agent('a1', { capacity: { slots: 10 }, credits: 2 });
  stage.submit('b1', [{ name: 'x' }, { name: 'y' }, { name: 'z' }]);
  stage.readyAll();
  expect(['x', 'y', 'z'].map((name) => stage.state(`b1/${name}`).kind)).toEqual(['offered', 'offered', 'queued']);
  stage.heartbeat('a1', [], 2);
  expect(stage.state('b1/z').kind).toBe('queued');
  stage.heartbeat('a1', [], 3);
  expect(stage.state('b1/z').kind).toBe('offered');
});

test('a result is accepted once, a repeat is known, and another token is fenced', () => {
  const stage = running();
  const token = stage.token('b1/x');
  stage.run('b1/x');
  const session = stage.session('a1');
  const repeat = stage.apply({ kind: 'attempt-finished', session, token, report: SUCCESS });
  expect(repeat.sends).toEqual([{ kind: 'tell-agent', session, message: { kind: 'result-reply', token, verdict: 'already-accepted' } }]);
  expect(repeat.writes).toEqual([]);
  const stale = stage.apply({ kind: 'attempt-finished', session, token: STRANGE, report: SUCCESS });
  expect(stale.sends).toMatchObject([{ message: { verdict: 'fenced' } }]);
});

test('a stale lease cannot complete a step', () => {
  const stage = running();
  const token = stage.token('b1/x');
  stage.accept('b1/x');
  stage.agent('a2');
  stage.advance(16_500);
  expect(stage.placeOf('b1/x')).toBe('a2');
  const outcome = stage.apply({ kind: 'attempt-finished', session: stage.session('a1'), token, report: SUCCESS });
  expect(outcome.sends).toMatchObject([{ message: { verdict: 'fenced' } }]);
  expect(stage.placeOf('b1/x')).toBe('a2');
});

test('another agent cannot finish with the token of the right one', () => {
  const stage = running();
  stage.accept('b1/x');
  stage.agent('a2');
  const outcome = stage.apply({ kind: 'attempt-finished', session: stage.session('a2'), token: stage.token('b1/x'), report: SUCCESS });
  expect(outcome.sends).toMatchObject([{ message: { verdict: 'fenced' } }]);
  expect(stage.state('b1/x').kind).toBe('running');
});

test('a heartbeat renews every lease it lists and says which are lost', () => {
  const stage = running();
  stage.accept('b1/x');
  stage.now = 5_000;
  const outcome = stage.heartbeat('a1', [stage.token('b1/x'), STRANGE]);
  expect(outcome.sends).toMatchObject([{ message: { leases: [{ verdict: 'continue' }, { token: STRANGE, verdict: 'lost' }] } }]);
  expect(outcome.wakeAt).toBe(20_000);
  expect(outcome.writes.map((record) => record.kind)).toEqual(['step']);
});

test('a lease that its agent does not list any more is lost at once', () => {
  const stage = running();
  stage.accept('b1/x');
  stage.heartbeat('a1', []);
  expect(stage.state('b1/x').kind).toBe('queued');
  expect(stage.scheduler.step(stepId('b1/x'))?.record).toMatchObject({ failures: { 'agent-lost': 1 }, lostAgents: [] });
});

test('a lease outlives its stream until it expires', () => {
  const stage = running();
  stage.accept('b1/x');
  stage.apply({ kind: 'agent-disconnected', session: stage.session('a1') });
  stage.advance(14_999);
  expect(stage.state('b1/x').kind).toBe('running');
  stage.advance(1);
  expect(stage.state('b1/x').kind).toBe('queued');
});

test('an agent that comes back with its lease goes on, and its old session is told', () => {
  const stage = running();
  stage.start('b1/x');
  const token = stage.token('b1/x');
  const outcome = stage.agent('a1', { held: [{ token, phase: { kind: 'started' } }] });
  expect(told(outcome)).toEqual(['a1#1 superseded', 'a1#2 registered']);
  expect(outcome.sends[1]).toMatchObject({ message: { epoch: 2, held: [{ token, verdict: 'continue' }] } });
  expect(stage.apply({ kind: 'attempt-finished', session: sessionOf('a1', 1), token, report: SUCCESS }).sends).toMatchObject([
    { message: { kind: 'superseded' } },
  ]);
  stage.finish('b1/x');
  expect(stage.state('b1/x').kind).toBe('ended');
});

test('an agent that comes back with a finished result has it accepted exactly once', () => {
  const stage = running();
  stage.accept('b1/x');
  const held = [{ token: stage.token('b1/x'), phase: { kind: 'finished', report: SUCCESS } }] as const;
  expect(stage.agent('a1', { held }).sends).toContainEqual(
    expect.objectContaining({ message: expect.objectContaining({ verdict: 'accepted' }) }),
  );
  expect(stage.agent('a1', { held }).sends).toContainEqual(
    expect.objectContaining({ message: expect.objectContaining({ verdict: 'already-accepted' }) }),
  );
});

test('an agent that comes back without its lease has lost it; an offer goes back free', () => {
  const stage = running();
  stage.agent('a1', { bootId: 'boot-2', credits: 0 });
  expect(stage.scheduler.step(stepId('b1/x'))?.record).toMatchObject({ state: { kind: 'queued' }, failures: {}, attemptCount: 0 });
  stage.heartbeat('a1', [], 1);
  stage.accept('b1/x');
  stage.agent('a1', { bootId: 'boot-3', credits: 0 });
  expect(stage.scheduler.step(stepId('b1/x'))?.record).toMatchObject({ failures: { 'agent-lost': 1 }, lostAgents: ['a1'] });
});

test('an offer whose acceptance was lost goes on when the agent brings it back', () => {
  const stage = running();
  const token = stage.token('b1/x');
  stage.agent('a1', { held: [{ token, phase: { kind: 'started' } }] });
  expect(stage.state('b1/x')).toMatchObject({ kind: 'running', startedAt: 0, lease: { attempt: 1 } });
});

test('an agent that leaves hands back what it had not started, free of charge', () => {
  const stage = new Stage();
  stage.agent('a1', { capacity: { slots: 2 } });
  stage.submit('b1', [{ name: 'x' }, { name: 'y' }]);
  stage.readyAll();
  stage.accept('b1/x');
  stage.start('b1/y');
  stage.apply({ kind: 'agent-left', session: stage.session('a1') });
  expect(stage.scheduler.step(stepId('b1/x'))?.record).toMatchObject({ state: { kind: 'queued', notBefore: undefined }, failures: {} });
  expect(stage.scheduler.step(stepId('b1/y'))?.record).toMatchObject({ state: { kind: 'queued' }, failures: { 'agent-stop': 1 } });
});

test('a draining agent gets nothing new and keeps what it has', () => {
  const stage = running();
  stage.accept('b1/x');
  stage.apply({ kind: 'agent-drained', session: stage.session('a1'), reason: 'SIGTERM' });
  stage.submit('b2', [{ name: 'y' }]);
  stage.ready('b2/y');
  stage.finish('b1/x');
  expect(stage.state('b1/x').kind).toBe('ended');
  expect(stage.state('b2/y').kind).toBe('queued');
});

test('an agent that does not stop a step in time loses it, as a timeout of the step', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x', runTimeoutMs: 10_000, graceMs: 1_000 }]);
  stage.ready('b1/x');
  stage.start('b1/x');
  for (let beat = 0; beat < 8; beat += 1) {
    stage.advance(5_000);
    if (stage.state('b1/x').kind === 'running') stage.heartbeat('a1', [stage.token('b1/x')]);
  }
  expect(stage.state('b1/x')).toMatchObject({ kind: 'ended', outcome: { kind: 'failed', class: 'timeout' } });
});

test('a stopped clock, or one that goes back, changes nothing', () => {
  const stage = running();
  stage.now = 1_000;
  stage.accept('b1/x');
  stage.now = 100;
  expect(stage.heartbeat('a1', [stage.token('b1/x')]).wakeAt).toBe(16_000);
});

test('bad submissions are refused with the field and the fix', () => {
  const stage = new Stage({ limits: { stepsPerBuild: 3, unfinishedStepsPerProject: 4 } });
  const refused = (steps: Parameters<Stage['submit']>[1]) => stage.submit('b1', steps).reply;
  expect(refused([])).toMatchObject({ code: 'BAD_REQUEST', field: 'steps' });
  expect(refused(['a', 'b', 'c', 'd'].map((name) => ({ name })))).toMatchObject({
    code: 'TOO_LARGE',
    message: expect.stringContaining('may have 3 steps'),
  });
  expect(
    refused([
      { name: 'a', needs: ['b'] },
      { name: 'b', needs: ['a'] },
    ]),
  ).toMatchObject({ message: 'Steps need each other in a circle: a -> b -> a' });
  expect(refused([{ name: 'compile' }, { name: 'b', needs: ['compil'] }])).toMatchObject({
    field: 'steps[1].needs[0]',
    message: 'Step "b" needs "compil", which the build does not have; did you mean "compile"?',
  });
  expect(refused([{ name: 'a', selector: 'x in (' }])).toMatchObject({
    field: 'steps[0].selector',
    message: expect.stringContaining('character'),
  });
  expect(refused([{ name: 'a' }, { name: 'a' }])).toMatchObject({ field: 'steps[1].name' });
  expect(refused([{ name: 'a', command: ['x'.repeat(200_000)] }])).toMatchObject({ code: 'TOO_LARGE', field: 'steps[0].command' });
  expect(refused([{ name: 'a', onLag: { afterMs: 1, use: 'skip' } }])).toMatchObject({ field: 'steps[0].onLag' });
  expect(stage.submit('b1', [{ name: 'a', zone: 'production' }], { zoneCeiling: 'trusted' }).reply).toMatchObject({
    code: 'FORBIDDEN',
    field: 'steps[0].zone',
  });
  stage.submit('b1', [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
  expect(stage.submit('b2', [{ name: 'a' }, { name: 'b' }]).reply).toMatchObject({ code: 'LIMIT_EXCEEDED', retryAfterMs: 10_000 });
});

test('an ended build can be forgotten, a running one cannot', () => {
  const stage = running();
  expect(stage.apply({ kind: 'build-expired', id: buildId('b1') }).reply).toMatchObject({ code: 'WRONG_STATE' });
  const token = stage.token('b1/x');
  stage.run('b1/x');
  const outcome = stage.apply({ kind: 'build-expired', id: buildId('b1') });
  expect(outcome.writes).toEqual([{ kind: 'build-forgotten', id: buildId('b1') }]);
  expect(outcome.sends).toEqual([{ kind: 'forget-build', id: buildId('b1'), tokens: [token] }]);
  expect(stage.scheduler.build(buildId('b1'))).toBeUndefined();
  expect(stage.scheduler.snapshot().map((record) => record.kind)).toEqual(['session']);
});

test('a failed step fails its build after the tries that its policy grants', () => {
  const stage = new Stage();
  stage.agent('a1');
  const retry = { limits: { ...DEFAULT_RETRY.limits, exit: 1 }, initialMs: 100, maxMs: 100 };
  stage.submit('b1', [{ name: 'x', retry }]);
  stage.ready('b1/x');
  stage.run('b1/x', failure('exit'));
  expect(stage.state('b1/x').kind).toBe('queued');
  stage.advance(100);
  expect(stage.placeOf('b1/x')).toBe('a1');
  stage.run('b1/x', failure('exit', 'exit code 2'));
  expect(stage.state('b1/x')).toMatchObject({ outcome: { kind: 'failed', class: 'exit', message: 'exit code 2' } });
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ outcome: 'failed' });
});

test('the newest time in the records is that of the last sign of life of what goes on', () => {
  const stage = new Stage();
  stage.now = 5_000;
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  expect(stage.scheduler.newestTime()).toBe(5_000);
  stage.ready('b1/x');
  stage.now = 6_000;
  stage.accept('b1/x');
  expect(stage.scheduler.newestTime()).toBe(6_000);
  stage.run('b1/x');
  expect(stage.scheduler.newestTime()).toBe(0);
});

test('a build is kept while a step of another one goes on with its attempt, whose log would go with it', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x', 'same');
  stage.start('b1/x');
  stage.submit('b2', [{ name: 'y' }]);
  stage.ready('b2/y', 'same');
  stage.apply({ kind: 'build-cancelled', id: buildId('b1'), by: 'me', reason: '' });
  expect(stage.state('b2/y').kind).toBe('running');
  const forget = () => stage.apply({ kind: 'build-expired', id: buildId('b1') }).reply;
  expect(forget()).toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining('/y goes on') });
  stage.finish('b2/y');
  expect(forget()).toEqual({ kind: 'done' });
});
