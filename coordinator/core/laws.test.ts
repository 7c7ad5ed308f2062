import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildId, failure, sessionOf, short, Stage, stepId, SUCCESS, type StepSketch } from '../../test/scenarios/stage.ts';
import type { HeldLease } from './event.ts';
import { Scheduler } from './scheduler.ts';
import { DEFAULT_RETRY } from './spec.ts';

/**
 * Random histories: whatever happens in whatever order, these hold after every event. The agents here are rude: they
 * answer late, twice, for others, or not at all.
 */
type Move =
  | { readonly kind: 'submit'; readonly build: number; readonly shape: number }
  | { readonly kind: 'register'; readonly agent: number; readonly bring: boolean; readonly credits: number; readonly boot: number }
  | { readonly kind: 'agent-says'; readonly agent: number; readonly what: number; readonly lease: number }
  | { readonly kind: 'resolve'; readonly pick: number; readonly how: number }
  | { readonly kind: 'person'; readonly what: number; readonly build: number; readonly step: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'crash' };

const small = fc.nat({ max: 7 });
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('submit' as const), build: fc.nat({ max: 4 }), shape: small }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      agent: fc.nat({ max: 2 }),
      bring: fc.boolean(),
      credits: fc.nat({ max: 3 }),
      boot: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({ kind: fc.constant('agent-says' as const), agent: fc.nat({ max: 2 }), what: fc.nat({ max: 11 }), lease: small }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('resolve' as const), pick: small, how: fc.nat({ max: 9 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('person' as const),
      what: fc.nat({ max: 5 }),
      build: fc.nat({ max: 4 }),
      step: fc.nat({ max: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(1, 500, 2_000, 7_000, 16_000, 70_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);

const SHAPES: readonly (readonly StepSketch[])[] = [
  [{ name: 's0' }],
  [{ name: 's0' }, { name: 's1', needs: ['s0'] }, { name: 's2', needs: ['s0'] }, { name: 's3', needs: ['s1', 's2'] }],
  [
    { name: 's0', resources: { slots: 2 } },
    { name: 's1', selector: 'class=edge' },
  ],
  [
    { name: 's0', retry: { ...DEFAULT_RETRY, limits: { ...DEFAULT_RETRY.limits, exit: 2 } } },
    { name: 's1', needs: ['s0'], runIf: 'failed' },
  ],
  [
    { name: 's0', cacheable: false, sideEffects: true },
    { name: 's1', needs: ['s0'], runIf: 'always' },
  ],
  [
    { name: 's0', critical: false, onLag: { afterMs: 5_000, use: 'default' } },
    { name: 's1', needs: ['s0'] },
  ],
  [
    { name: 's0', totalTimeoutMs: 20_000, queueTimeoutMs: 9_000 },
    { name: 's1', zone: 'trusted' },
    { name: 's2', zone: 'untrusted' },
  ],
  [{ name: 's0', priority: 5 }, { name: 's1' }, { name: 's2', needs: ['s1'] }, { name: 's3', runIf: 'failed' }],
];
const AGENTS = [
  { labels: { class: 'edge', zone: 'trusted' }, capacity: { slots: 1 } },
  { labels: { class: 'central', zone: 'production' }, capacity: { slots: 3 } },
  { labels: { class: 'edge' }, capacity: { slots: 2 } },
];

class History {
  readonly stage = new Stage({ timings: { ageingMs: 10_000 } });
  readonly #submitted = new Set<number>();

  take(step: Move): void {
    const { stage } = this;
    switch (step.kind) {
      case 'submit':
        if (this.#submitted.has(step.build)) return;
        this.#submitted.add(step.build);
        stage.submit(`b${step.build}`, SHAPES[step.shape] ?? [], {
          project: step.build % 2 === 0 ? 'p' : 'q',
          failFast: step.shape === 1,
          ...(step.build === 3 ? { timeoutMs: 30_000 } : {}),
        });
        return;
      case 'register':
        return this.#register(step);
      case 'agent-says':
        return this.#say(step);
      case 'resolve':
        return this.#resolve(step.pick, step.how);
      case 'person':
        return this.#person(step);
      case 'advance':
        stage.advance(step.ms);
        return;
      case 'crash':
        stage.crash();
        return;
    }
  }

  #register({ agent, bring, credits, boot }: Extract<Move, { kind: 'register' }>): void {
    const held: HeldLease[] = bring
      ? this.#leases(agent).map((token, index) => ({
          token,
          phase: index % 2 === 0 ? { kind: 'started' } : { kind: 'finished', report: SUCCESS },
        }))
      : [];
    this.stage.agent(`a${agent}`, { ...AGENTS[agent], credits, held, bootId: `boot-${boot}` });
  }

  #leases(agent: number) {
    const known = this.stage.scheduler.agents().find(({ id }) => id === `a${agent}`);
    return (known?.running ?? []).flatMap((id) => {
      const state = this.stage.scheduler.step(id)?.record.state;
      return state?.kind === 'offered' || state?.kind === 'running' ? [state.lease.token] : [];
    });
  }

  #say({ agent, what, lease }: Extract<Move, { kind: 'agent-says' }>): void {
    const { stage } = this;
    const known = stage.scheduler.agents().find(({ id }) => id === `a${agent}`);
    if (known === undefined) return;
    // Now and then an older session speaks.
    const session = lease === 7 ? sessionOf(`a${agent}`, 1) : known.session;
    const own = this.#leases(agent);
    const token = own[lease % Math.max(1, own.length)];
    if (what >= 9) return void stage.apply({ kind: 'heartbeat-received', session, tokens: what === 9 ? own.slice(1) : own, credits: 3 });
    if (what === 8) return void stage.apply({ kind: lease % 2 === 0 ? 'agent-disconnected' : 'agent-left', session });
    if (token === undefined) return;
    if (what <= 1) stage.apply({ kind: 'offer-accepted', session, token });
    else if (what === 2) stage.apply({ kind: 'offer-rejected', session, token, reason: 'rude' });
    else if (what === 3) stage.apply({ kind: 'attempt-started', session, token });
    else if (what <= 5) stage.apply({ kind: 'attempt-finished', session, token, report: SUCCESS });
    else stage.apply({ kind: 'attempt-finished', session, token, report: failure(what === 6 ? 'exit' : 'sandbox-error') });
  }

  #resolve(pick: number, how: number): void {
    const open = this.stage.scheduler
      .builds({ limit: 9 })
      .flatMap((build) => build.steps.filter((step) => step.record.state.kind === 'resolving'));
    const step = open[pick % Math.max(1, open.length)];
    if (step === undefined) return;
    if (how === 9) this.stage.apply({ kind: 'step-resolved', step: step.id, resolution: { kind: 'unavailable', message: 'down' } });
    else this.stage.ready(short(step.id), how < 6 ? 'same' : step.id);
  }

  #person({ what, build, step }: Extract<Move, { kind: 'person' }>): void {
    const { stage } = this;
    const id = buildId(`b${build}`);
    if (what === 0) stage.apply({ kind: 'build-cancelled', id, by: 'me', reason: 'no' });
    else if (what === 1) stage.apply({ kind: 'step-cancelled', step: stepId(`b${build}/s${step}`), by: 'me', reason: 'no' });
    else if (what === 2) stage.apply({ kind: 'step-retried', step: stepId(`b${build}/s${step}`), by: 'me' });
    else if (what === 3)
      stage.apply({
        kind: 'hold-placed',
        target: `agent:a${step % 3}`,
        hold: 'drain',
        reason: 'r',
        by: 'me',
        expiresAt: stage.now + 3_000,
      });
    else if (what === 4) stage.apply({ kind: 'hold-lifted', target: `agent:a${step % 3}`, by: 'me' });
    else if (stage.apply({ kind: 'build-expired', id }).reply?.kind === 'done') this.#submitted.delete(build);
  }
}

function checkNow({ scheduler, now, last }: Stage): void {
  const held = new Map<string, string>();
  for (const build of scheduler.builds({ limit: 9 })) {
    let ended = 0;
    for (const step of build.steps) {
      const { state } = step.record;
      if (state.kind === 'ended') ended += 1;
      if (state.kind === 'merged') expect(scheduler.step(state.into)?.record.state.kind).toMatch(/queued|offered|running/);
      if (state.kind !== 'offered' && state.kind !== 'running') continue;
      expect(held.has(state.lease.token)).toBe(false);
      held.set(state.lease.token, state.lease.agent);
      expect(scheduler.lease(state.lease.token)?.step).toBe(step.id);
    }
    expect(build.endedCount).toBe(ended);
    expect(build.state.kind === 'ended').toBe(ended === build.steps.length);
  }
  for (const agent of scheduler.agents()) {
    const steps = agent.running.map((id) => scheduler.step(id));
    const slots = steps.reduce((sum, step) => sum + (step?.spec.resources.slots ?? 0), 0);
    expect(slots).toBeLessThanOrEqual(agent.facts.capacity.slots);
    expect(new Set(steps.map((step) => step?.spec.zone)).size).toBeLessThanOrEqual(1);
    expect([...held.values()].filter((id) => id === agent.id).length).toBe(agent.running.length);
  }
  if (last.wakeAt !== undefined) expect(last.wakeAt).toBeGreaterThanOrEqual(now);
}

/** What a ledger keeps of an object: undefined fields are absent ones. */
function stored(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function histories(check: (history: History) => void, eachMove: (stage: Stage) => void = () => {}): void {
  fc.assert(
    fc.property(fc.array(move, { minLength: 20, maxLength: 120 }), (moves) => {
      const history = new History();
      for (const step of moves) {
        history.take(step);
        eachMove(history.stage);
      }
      check(history);
    }),
    { numRuns: 150 },
  );
}

test('a wait that ran out while nobody scheduled is over at once, not in the past', () => {
  const register = (agent: number): Move => ({ kind: 'register', agent, bring: false, credits: 0, boot: 0 });
  const resolve: Move = { kind: 'resolve', pick: 0, how: 0 };
  const heartbeat: Move = { kind: 'agent-says', agent: 1, what: 9, lease: 0 };
  const before: readonly Move[] = [
    register(1),
    heartbeat,
    { kind: 'submit', build: 0, shape: 5 },
    { kind: 'advance', ms: 1 },
    resolve,
    resolve,
  ];
  const after: readonly Move[] = [{ kind: 'crash' }, { kind: 'advance', ms: 7_000 }, resolve, register(1), register(0)];
  const history = new History();
  for (const step of [...before, ...after, { kind: 'advance', ms: 1 } as const, resolve]) {
    history.take(step);
    checkNow(history.stage);
  }
});

test('capacity, zones, leases and counts hold after every event', () => {
  histories(() => {}, checkNow);
});

test('the records of all outcomes, and a snapshot, each restore an equal scheduler', () => {
  histories(({ stage }) => {
    const live = stored(stage.scheduler.snapshot());
    for (const records of [stage.ledger, stage.scheduler.snapshot()]) {
      const other = new Scheduler({ nonce: 'ff', seed: 2 });
      other.restore(records);
      expect(stored(other.snapshot())).toEqual(live);
    }
  });
});

test('event numbers of a build have no gap and no repeat, whatever restarts lie between', () => {
  histories(({ stage }) => {
    const numbers = new Map<string, number>();
    for (const record of stage.ledger) {
      if (record.kind === 'build-forgotten') numbers.delete(record.id);
      if (record.kind !== 'event') continue;
      expect(record.event.seq).toBe((numbers.get(record.build) ?? 0) + 1);
      numbers.set(record.build, record.event.seq);
    }
  });
});

test('once agents behave, every build ends', () => {
  histories(({ stage }) => {
    for (const target of ['a0', 'a1', 'a2']) stage.apply({ kind: 'hold-lifted', target: `agent:${target}`, by: 'me' });
    for (const [index, sketch] of AGENTS.entries()) stage.agent(`a${index}`, { ...sketch, bootId: 'good' });
    for (let round = 0; round < 200 && stage.scheduler.builds({ limit: 9, phase: 'running' }).length > 0; round += 1) {
      stage.readyAll();
      for (const agent of stage.scheduler.agents()) {
        for (const id of agent.running) {
          const state = stage.scheduler.step(id)?.record.state;
          if (state?.kind === 'offered' || state?.kind === 'running') {
            stage.apply({ kind: 'attempt-finished', session: agent.session, token: state.lease.token, report: SUCCESS });
          }
        }
        stage.heartbeat(agent.id, []);
      }
      stage.advance(5_000);
    }
    expect(
      stage.scheduler
        .builds({ limit: 9, phase: 'running' })
        .map((build) => [build.record.id, build.steps.map((step) => step.record.state)]),
    ).toEqual([]);
    expect(stage.scheduler.agents().every((agent) => agent.running.length === 0)).toBe(true);
  });
});
