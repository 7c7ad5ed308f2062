import { weightedTopology } from '../../test/fixtures/weighted-topology.ts';
import { expect, test } from 'vitest';
import { buildId, digestFor, failure, Stage, stepId } from '../../test/scenarios/stage.ts';
import { DEFAULT_RETRY } from './spec.ts';

const GIB = 2 ** 30;

test('a burst of a thousand steps delays another project by one slot at most', () => {
  const stage = new Stage();
  for (let index = 0; index < 4; index += 1) stage.agent(`a${index}`, { credits: 10_000 });
  stage.submit(
    'b1',
    Array.from({ length: 1_000 }, (_, index) => ({ name: `s${index}` })),
    { project: 'burst' },
  );
  stage.readyAll();
  stage.submit('b2', [{ name: 'late' }], { project: 'quiet' });
  stage.ready('b2/late');
  const running = stage.scheduler.agents()[0]?.running[0];
  stage.run(`b1/${running?.split('/')[1]}`);
  expect(stage.placeOf('b2/late')).toBe('a0');
});

test('what runs now decides first: a project with long steps does not crowd out one with short steps', () => {
  const stage = new Stage();
  stage.agent('a1', { capacity: { slots: 4 }, credits: 10_000 });
  const steps = Array.from({ length: 30 }, (_, index) => ({ name: `s${index}` }));
  stage.submit('b1', steps, { project: 'short' });
  stage.submit('b2', steps, { project: 'long' });
  stage.readyAll();
  for (let round = 0; round < 20; round += 1) {
    const short = stage.scheduler.agents()[0]?.running.find((id) => id.startsWith(buildId('b1')));
    if (short !== undefined) stage.run(`b1/${short.split('/')[1]}`);
    else stage.run(`b2/${stage.scheduler.agents()[0]?.running[0]?.split('/')[1]}`);
    const running = stage.scheduler.agents()[0]?.running ?? [];
    expect(running.filter((id) => id.startsWith(buildId('b2'))).length).toBeLessThanOrEqual(3);
  }
  expect(stage.scheduler.build(buildId('b1'))?.endedCount).toBeGreaterThanOrEqual(16);
});

test('weights hold over time though there are fewer slots than weights', () => {
  const stage = new Stage({ topology: weightedTopology({ heavy: 4 }) });
  stage.agent('a1', { capacity: { slots: 2 }, credits: 10_000 });
  const steps = Array.from({ length: 100 }, (_, index) => ({ name: `s${index}` }));
  stage.submit('b1', steps, { project: 'light' });
  stage.submit('b2', steps, { project: 'heavy' });
  stage.readyAll();
  const granted: string[] = [];
  for (let round = 0; round < 50; round += 1) {
    const oldest = stage.scheduler.agents()[0]?.running[0] ?? '';
    const build = oldest.startsWith(buildId('b1')) ? 'b1' : 'b2';
    granted.push(build);
    stage.run(`${build}/${oldest.split('/')[1]}`);
  }
  // The first two found nobody else waiting.
  expect(granted.slice(10).filter((build) => build === 'b1')).toHaveLength(8);
});

test('steps that run for long cost a heavy project its turn, and leave the light one its own', () => {
  const stage = new Stage({ topology: weightedTopology({ heavy: 4 }) });
  stage.agent('a1', { capacity: { slots: 10 }, credits: 10_000 });
  const steps = Array.from({ length: 60 }, (_, index) => ({ name: `s${index}` }));
  stage.submit('b2', steps, { project: 'heavy' });
  stage.submit('b1', steps, { project: 'light' });
  stage.readyAll();
  const light = () => (stage.scheduler.agents()[0]?.running ?? []).filter((id) => id.startsWith(buildId('b1')));
  // The light one took all ten while it was alone. The heavy one gets its share as they end, and holds it from then on.
  for (let round = 0; round < 30; round += 1) stage.run(`b1/${light()[0]?.split('/')[1]}`);
  expect(light()).toHaveLength(2);
});

test('a project that was idle starts level with the others', () => {
  const stage = new Stage();
  stage.agent('a1', { credits: 10_000 });
  stage.submit(
    'b1',
    [...Array(40).keys()].map((index) => ({ name: `s${index}` })),
    { project: 'busy' },
  );
  stage.readyAll();
  for (let index = 0; index < 20; index += 1) stage.run(`b1/s${index}`);
  stage.submit(
    'b2',
    [...Array(10).keys()].map((index) => ({ name: `s${index}` })),
    { project: 'idle' },
  );
  stage.readyAll();
  const order: string[] = [];
  for (let round = 0; round < 8; round += 1) {
    const [id = ''] = stage.scheduler.agents()[0]?.running ?? [];
    order.push(id.startsWith(buildId('b1')) ? 'busy' : 'idle');
    stage.run(`${id.startsWith(buildId('b1')) ? 'b1' : 'b2'}/${id.split('/')[1]}`);
  }
  expect(order).toEqual(['busy', 'idle', 'busy', 'idle', 'busy', 'idle', 'busy', 'idle']);
});

test('builds that name a share have one together: a thousand of them get no more than one build beside them', () => {
  const stage = new Stage();
  stage.agent('a1', { credits: 10_000 });
  for (let index = 0; index < 30; index += 1) stage.submit(`many${index}`, [{ name: 's' }], { share: 'one run of a tool' });
  stage.submit(
    'one',
    [...Array(30).keys()].map((index) => ({ name: `s${index}` })),
  );
  stage.readyAll();
  const order: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const [id = ''] = stage.scheduler.agents()[0]?.running ?? [];
    const [build = '', step = ''] = id.split('/');
    const name =
      build === buildId('one') ? 'one' : [...Array(30).keys()].map((index) => `many${index}`).find((many) => buildId(many) === build);
    order.push(name === 'one' ? 'one' : 'many');
    stage.run(`${name}/${step}`);
  }
  // The first one found nobody else waiting.
  expect(order.slice(2).filter((name) => name === 'one')).toHaveLength(9);
});

test('waiting is worth priority, so that nothing starves', () => {
  const stage = new Stage({ timings: { ageingMs: 10_000 } });
  stage.agent('a1', { credits: 0 });
  stage.submit('b1', [{ name: 'old' }, { name: 'gate' }, { name: 'new', needs: ['gate'], priority: 2 }]);
  stage.ready('b1/old');
  stage.advance(30_000);
  stage.apply({
    kind: 'step-resolved',
    step: stepId('b1/gate'),
    resolution: {
      kind: 'hit',
      action: { action: digestFor('g'), inputRoot: digestFor('g'), inputBytes: 0, parts: [] },
      result: {
        exitCode: 0,
        outputs: [],
        log: undefined,
        usage: { cpuMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0, prepareMs: 0, runMs: 0, uploadMs: 0 },
        agent: 'x',
        startedAt: 0,
        endedAt: 0,
      },
    },
  });
  stage.ready('b1/new');
  stage.heartbeat('a1', [], 1);
  expect(stage.placeOf('b1/old')).toBe('a1');
});

test('a retry goes to another agent where one fits, though that one is busy for the moment', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.agent('a2');
  stage.submit('b2', [{ name: 'y' }]);
  stage.ready('b2/y');
  stage.start('b2/y');
  stage.run('b1/x', failure('sandbox-error'));
  stage.advance(2_000);
  expect(stage.state('b1/x').kind).toBe('queued');
  stage.finish('b2/y');
  expect(stage.placeOf('b1/x')).toBe('a2');
});

test("a project's retries beyond its budget wait longer, and explain says so", () => {
  const stage = new Stage({ limits: { retryBudgetBurst: 1, retryBudgetPerSecond: 0.1 } });
  const retry = { limits: { ...DEFAULT_RETRY.limits, exit: 9 }, initialMs: 1, maxMs: 1 };
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x', retry }]);
  stage.ready('b1/x');
  stage.run('b1/x', failure('exit'));
  stage.advance(1);
  stage.run('b1/x', failure('exit'));
  expect(stage.state('b1/x')).toMatchObject({ kind: 'queued', notBefore: expect.closeTo(stage.now + 10_000, -2) });
  expect(stage.scheduler.explain(stepId('b1/x'), stage.now)?.reasons.join()).toContain('budget');
});

test("retries after errors of one pool's agents are paid by the pool too, and explain says whose budget is short", () => {
  const stage = new Stage({ limits: { poolRetryBurst: 2, poolRetryPerSecond: 0.1, breakerErrors: 99, poolBreakerErrors: 99 } });
  const retry = { limits: { ...DEFAULT_RETRY.limits, 'sandbox-error': 9, exit: 9 }, initialMs: 1, maxMs: 1 };
  stage.agent('a1', { labels: { cluster: 'c', pool: 'p' } });
  stage.submit('b1', [{ name: 'x', retry }]);
  stage.ready('b1/x');
  const left = () => stage.scheduler.pools()[0]?.retriesLeft;
  stage.run('b1/x', failure('exit'));
  stage.advance(1);
  expect(left(), "a step's own failure costs its pool nothing").toBe(2);
  for (let round = 0; round < 2; round += 1) {
    stage.run('b1/x', failure('sandbox-error'));
    stage.advance(1);
  }
  expect(left()).toBe(0);
  stage.run('b1/x', failure('sandbox-error'));
  expect(stage.state('b1/x')).toMatchObject({ kind: 'queued', notBefore: expect.closeTo(stage.now + 10_000, -2) });
  const reasons = stage.scheduler.explain(stepId('b1/x'), stage.now)?.reasons.join() ?? '';
  expect(reasons).toContain('retries after errors of pool c/p come too fast: the budget adds ');
});

test('an agent that has cordoned itself gets nothing, and everybody is told its reason', () => {
  const stage = new Stage();
  stage.agent('a1');
  const beat = (cordoned?: string) =>
    stage.apply({
      kind: 'heartbeat-received',
      session: stage.session('a1'),
      tokens: [],
      credits: 8,
      ...(cordoned === undefined ? {} : { cordoned }),
    });
  beat('The disk is full');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  expect(stage.state('b1/x').kind).toBe('queued');
  expect(stage.scheduler.agents()[0]).toMatchObject({ cordoned: 'The disk is full', keptFrom: ['it is cordoned: The disk is full'] });
  expect(stage.scheduler.explain(stepId('b1/x'), stage.now)?.reasons.join()).toContain('The disk is full');
  beat();
  expect(stage.placeOf('b1/x')).toBe('a1');
  expect(stage.scheduler.agents()[0]).toMatchObject({ cordoned: undefined, keptFrom: [] });
});

test('a side-effecting step whose policy says no retry is not run again after its agent was lost', () => {
  const stage = new Stage();
  const retry = { ...DEFAULT_RETRY, limits: { ...DEFAULT_RETRY.limits, 'agent-lost': 0 } };
  stage.agent('a1');
  stage.submit('b1', [{ name: 'deploy', cacheable: false, sideEffects: true, retry }]);
  stage.ready('b1/deploy');
  stage.start('b1/deploy');
  stage.advance(15_000);
  expect(stage.state('b1/deploy')).toMatchObject({ kind: 'ended', outcome: { kind: 'errored', class: 'agent-lost' } });
});

test('steps with side effects, or of another scope, zone, project or size, never share a run', () => {
  const stage = new Stage();
  stage.submit('b1', [{ name: 'x' }]);
  stage.submit('b2', [{ name: 'x', sideEffects: true }]);
  stage.submit('b3', [{ name: 'x' }], { scope: 'main/pr' });
  stage.submit('b4', [{ name: 'x', zone: 'trusted' }]);
  stage.submit('b5', [{ name: 'x' }], { project: 'q' });
  stage.submit('b6', [{ name: 'x' }], { zoneCeiling: 'trusted' });
  stage.submit('b7', [{ name: 'x', resources: { cpuMillis: 0, memoryBytes: GIB, slots: 1, custom: {} } }]);
  stage.submit('b8', [{ name: 'x' }]);
  for (let index = 1; index <= 8; index += 1) stage.ready(`b${index}/x`, 'same');
  const kinds = [1, 2, 3, 4, 5, 6, 7, 8].map((index) => stage.state(`b${index}/x`).kind);
  expect(kinds).toEqual(['queued', 'queued', 'queued', 'queued', 'queued', 'queued', 'queued', 'merged']);
});

test('a step goes where its inputs are, and waits a little for it', () => {
  const stage = new Stage();
  const parts = { inputBytes: GIB, parts: [{ root: digestFor('src'), bytes: GIB }] };
  stage.agent('a1', { labels: { class: 'central' } });
  stage.submit('b1', [{ name: 'x' }, { name: 'y' }, { name: 'z' }]);
  stage.ready('b1/x', 'x', parts);
  stage.run('b1/x');
  stage.agent('a2', { labels: { class: 'central' } });
  stage.ready('b1/y', 'y', parts);
  expect(stage.placeOf('b1/y')).toBe('a1');
  stage.start('b1/y');
  stage.ready('b1/z', 'z', parts);
  expect(stage.placeOf('b1/z')).toBeUndefined();
  expect(stage.scheduler.explain(stepId('b1/z'), stage.now)?.summary).toContain('waits up to 2s for a1');
  stage.advance(2_000);
  expect(stage.placeOf('b1/z')).toBe('a2');
});

test('central agents are filled one after the other, edge agents evenly, and light steps go to the edge', () => {
  const placed = (cls: string) => {
    const stage = new Stage();
    for (const name of ['a1', 'a2']) stage.agent(name, { labels: { class: cls }, capacity: { slots: 4 } });
    stage.submit('b1', [{ name: 'x' }, { name: 'y' }]);
    stage.readyAll();
    return new Set([stage.placeOf('b1/x'), stage.placeOf('b1/y')]).size;
  };
  expect(placed('central')).toBe(1);
  expect(placed('edge')).toBe(2);
  const stage = new Stage();
  stage.agent('big', { labels: { class: 'central' } });
  stage.agent('small', { labels: { class: 'edge' } });
  stage.submit('b1', [{ name: 'x', resources: { cpuMillis: 100 } }]);
  stage.ready('b1/x');
  expect(stage.placeOf('b1/x')).toBe('small');
});

test('agents with things that a step does not ask for are kept for those that do', () => {
  const stage = new Stage();
  stage.agent('gpu', { capacity: { custom: { gpu: 1 } } });
  stage.agent('plain');
  stage.submit('b1', [{ name: 'x' }, { name: 'y', resources: { custom: { gpu: 1 } } }]);
  stage.readyAll();
  expect([stage.placeOf('b1/x'), stage.placeOf('b1/y')]).toEqual(['plain', 'gpu']);
});

test('an agent runs one zone at a time, unless its sandbox isolates the host', () => {
  const placed = (sandbox: readonly 'isolatesHost'[]) => {
    const stage = new Stage();
    stage.agent('a1', { labels: { zone: 'trusted' }, capacity: { slots: 4 }, sandbox });
    stage.submit('b1', [{ name: 'x' }, { name: 'y', zone: 'trusted' }]);
    stage.readyAll();
    return stage.placeOf('b1/y');
  };
  expect(placed([])).toBeUndefined();
  expect(placed(['isolatesHost'])).toBe('a1');
});

test('a lease that ran out while nobody woke the scheduler gets one more time to live', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.accept('b1/x');
  stage.now = 3_600_000;
  stage.heartbeat('a1', [stage.token('b1/x')]);
  expect(stage.state('b1/x')).toMatchObject({ kind: 'running', lease: { attempt: 1 } });
});

test('takeovers in a row do not prolong a lease beyond one more time to live', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.accept('b1/x');
  for (let crash = 0; crash < 3; crash += 1) {
    stage.now += 9_999;
    stage.submit(`b${crash + 2}`, [{ name: 'x' }]); // what is written shows that somebody led until now
    stage.crash();
    expect(stage.state('b1/x').kind).toBe('running');
  }
  stage.advance(3);
  expect(stage.state('b1/x').kind).toBe('queued');
});

test('the time in which nobody led does not count against a lease: its agent comes back and its result counts', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x' }]);
  stage.ready('b1/x');
  stage.accept('b1/x');
  stage.now += 3_600_000;
  stage.crash();
  stage.advance(14_999);
  expect(stage.state('b1/x')).toMatchObject({ kind: 'running', lease: { attempt: 1 } });
  stage.advance(1);
  expect(stage.state('b1/x').kind).toBe('queued');
});

test('an agent that is gone for a day is forgotten', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.apply({ kind: 'agent-disconnected', session: stage.session('a1') });
  const outcomes = stage.advance(86_400_000);
  expect(outcomes.flatMap((outcome) => outcome.writes.map((record) => record.kind))).toEqual(['agent-forgotten']);
  expect(stage.scheduler.agents()).toEqual([]);
});

test('a chain of skipped steps as long as a build may be does not exhaust the stack', () => {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit(
    'b1',
    [...Array(20_000).keys()].map((index) => ({ name: `s${index}`, needs: index === 0 ? [] : [`s${index - 1}`] })),
  );
  stage.ready('b1/s0');
  stage.run('b1/s0', failure('exit'));
  expect(stage.scheduler.build(buildId('b1'))?.state).toMatchObject({ kind: 'ended', outcome: 'failed' });
});

test('whoever reads the records one by one never sees room taken twice', () => {
  const stage = new Stage();
  const labels = { role: 'one' };
  stage.agent('a1', { labels });
  stage.submit('b1', [{ name: 'x' }, { name: 'y', priority: 5, selector: 'role=one' }]);
  stage.ready('b1/x');
  stage.ready('b1/y');
  stage.agent('a2');
  // The offer of x goes back, y takes its place, and x goes elsewhere, all in one outcome.
  stage.agent('a1', { labels, bootId: 'boot-2' });
  const replay = new Stage();
  for (const record of stage.ledger) {
    replay.scheduler.restore([record]);
    for (const agent of replay.scheduler.agents()) expect(agent.running.length).toBeLessThanOrEqual(1);
  }
  expect([stage.placeOf('b1/y'), stage.placeOf('b1/x')]).toEqual(['a1', 'a2']);
});

test('explain says why a step with side effects was not run again after its agent was lost, and of no other step', () => {
  const stage = new Stage();
  for (const agent of ['a1', 'a2']) stage.agent(agent);
  const retry = { ...DEFAULT_RETRY, limits: { ...DEFAULT_RETRY.limits, 'agent-lost': 0 } };
  stage.submit('b1', [
    { name: 'deploy', cacheable: false, sideEffects: true, retry },
    { name: 'pure', retry },
  ]);
  for (const step of ['b1/deploy', 'b1/pure']) {
    stage.ready(step);
    stage.accept(step);
    stage.start(step);
  }
  stage.advance(16_000);
  const summary = (step: string) => stage.scheduler.explain(stepId(step), stage.now)?.summary ?? '';
  expect(summary('b1/deploy')).toContain('It has side effects');
  expect(summary('b1/pure')).toContain('its agents were lost');
  expect(summary('b1/pure')).not.toContain('side effects');
});
