import { describe, expect, test } from 'vitest';
import type { JournalEvent } from '../../../agent/attempt-journal.ts';
import type { BuildEvent, BuildSnapshot, StepView } from '../../../cli/build-view.ts';
import { digestOf } from '../../../cache/digest.ts';
import type { JournalLine } from '../../fixtures/agent-journal.ts';
import { LOSSES, type FaultRecord } from '../fault.ts';
import type { Invariant, ObservedBuild } from '../observation.ts';
import { checkBuild } from '../tally.ts';
import type { PlannedBuild } from '../workload.ts';
import { checkAlone, checkFenced, checkWitness, type LedgerAttempt } from './journals.ts';

const LOG = digestOf(Buffer.from('log'));
const OUT = digestOf(Buffer.from('out'));
const OTHER = digestOf(Buffer.from('other'));

const PLANNED: PlannedBuild = {
  key: 'k',
  request: {},
  steps: [
    { name: 'a', kind: 'plain', needs: [], critical: true, log: LOG, outputs: new Map([['a.out', OUT]]) },
    { name: 'b', kind: 'failing', needs: [], critical: false, log: LOG, outputs: new Map() },
    { name: 'c', kind: 'effect', needs: ['a'], critical: true, log: LOG, outputs: new Map([['a.out', OUT]]) },
  ],
};

const USAGE = { cpuMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0, prepareMs: 0, runMs: 0, uploadMs: 0 };

function stepOf(name: string, exitCode: number, more: Partial<StepView> = {}): StepView {
  const outputs = exitCode === 0 ? [{ kind: 'file' as const, path: 'a.out', digest: OUT, executable: false }] : [];
  const log = { digest: LOG, truncated: false };
  const result = { exitCode, outputs, log, usage: USAGE, agent: 'one', startedAt: 1_000, endedAt: 2_000 };
  const endedWhy = exitCode === 0 ? 'succeeded' : 'exit: ended with code 3';
  return {
    name,
    phase: 'ended',
    verdict: exitCode === 0 ? 'succeeded' : 'failed',
    source: exitCode === 0 ? 'run' : undefined,
    message: '',
    failureClass: undefined,
    result,
    attempts: [{ number: 1, token: `t.${name}`, agent: 'one', acceptedAtMs: 1_000, endedAtMs: 2_000, endedWhy }],
    readyAtMs: 1_000,
    startedAtMs: 1_000,
    endedAtMs: 2_000,
    needs: [],
    critical: true,
    action: undefined,
    mergedInto: undefined,
    ...more,
  };
}

function historyOf(steps: readonly StepView[]): readonly BuildEvent[] {
  const events: BuildEvent[] = [{ kind: 'build-accepted', cursor: '1', atMs: 1_000, step: '' }];
  for (const { name, verdict = 'succeeded', source, message, failureClass, result } of steps) {
    events.push({ kind: 'attempt-accepted', cursor: '2', atMs: 1_000, step: name, number: 1, agent: 'one' });
    events.push({ kind: 'step-ended', cursor: '3', atMs: 2_000, step: name, verdict, source, message, failureClass, result });
  }
  return [...events, { kind: 'build-ended', cursor: '4', atMs: 2_000, step: '', verdict: 'succeeded', degraded: [] }];
}

type Doctored = {
  readonly steps?: readonly StepView[];
  readonly build?: Partial<BuildSnapshot['build']>;
  readonly history?: readonly BuildEvent[];
  readonly watched?: readonly (readonly BuildEvent[])[];
  readonly logs?: ObservedBuild['logs'];
};

const STEPS = [stepOf('a', 0), stepOf('b', 3), stepOf('c', 0)];

function observed({ steps = STEPS, build, history = historyOf(steps), watched = [history], logs }: Doctored = {}): ObservedBuild {
  const summary: BuildSnapshot['build'] = {
    id: 'x',
    name: 'k',
    project: 'chaos',
    phase: 'ended',
    verdict: 'succeeded',
    labels: {},
    submittedBy: 'chaos',
    acceptedAtMs: 1_000,
    endedAtMs: 2_000,
    stepsTotal: 3,
    stepsEnded: 3,
    stepsFromCache: 0,
    degraded: [],
    ...build,
  };
  const read = logs ?? new Map(steps.map(({ name }) => [name, LOG]));
  return { planned: PLANNED, id: 'x', watched, history, snapshot: { build: summary, steps, cursor: '4' }, logs: read };
}

function broken(build: ObservedBuild, faults: readonly FaultRecord[] = []): readonly Invariant[] {
  return [...new Set(checkBuild(build, { faults, aftermathMs: 500 }).map(({ invariant }) => invariant))].toSorted();
}

const replaced = (name: string, more: Partial<StepView>, exitCode = 0) =>
  STEPS.map((step) => (step.name === name ? stepOf(name, exitCode, more) : step));

const lost = (endedAtMs: number) => [
  { number: 1, token: 't.0', agent: 'one', acceptedAtMs: 1_000, endedAtMs, endedWhy: 'ended without a report' },
  { number: 2, token: 't.c', agent: 'one', acceptedAtMs: endedAtMs, endedAtMs: 5_000, endedWhy: 'succeeded' },
];

describe('what a client saw of a build', () => {
  test('breaks nothing where all is well', () => {
    expect(broken(observed())).toEqual([]);
  });

  test.each<readonly [string, readonly Invariant[], ObservedBuild]>([
    ['a build that is gone', ['kept'], { ...observed(), snapshot: undefined, history: undefined }],
    ['a build that has not ended', ['kept'], observed({ build: { phase: 'running' } })],
    ['a step that has not ended', ['kept'], observed({ steps: replaced('c', { phase: 'queued' }) })],
    ['a step that is gone', ['kept'], observed({ steps: STEPS.slice(0, 2), history: historyOf(STEPS) })],
    ['an end that is told twice', ['one-result'], observed({ history: historyOf([...STEPS, stepOf('c', 0)]) })],
    ['an end that is never told', ['one-result'], observed({ history: historyOf(STEPS.slice(0, 2)) })],
    [
      'a result that changed after it was told',
      ['one-result'],
      observed({ steps: replaced('c', { result: { ...present('c'), startedAt: 9 } }), history: historyOf(STEPS) }),
    ],
    ['two accepted successes', ['one-result'], observed({ steps: replaced('c', { attempts: [...attemptsOf('c'), ...attemptsOf('c')] }) })],
    [
      'a success of another agent than its result',
      ['one-result'],
      observed({ steps: replaced('c', { result: { ...present('c'), agent: 'two' } }) }),
    ],
    [
      'an attempt that never ends',
      ['one-result'],
      observed({
        steps: replaced('c', {
          attempts: [{ number: 1, token: 't', agent: 'one', acceptedAtMs: 1, endedAtMs: undefined, endedWhy: '' }, ...attemptsOf('c')],
        }),
      }),
    ],
    [
      'a log of other bytes',
      ['bytes'],
      observed({ steps: replaced('c', { result: { ...present('c'), log: { digest: OTHER, truncated: false } } }) }),
    ],
    [
      'a log that readers get other bytes of',
      ['bytes'],
      observed({
        logs: new Map([
          ['a', LOG],
          ['b', LOG],
          ['c', OTHER],
        ]),
      }),
    ],
    [
      'an output of other bytes',
      ['bytes'],
      observed({
        steps: replaced('c', { result: { ...present('c'), outputs: [{ kind: 'file', path: 'a.out', digest: OTHER, executable: false }] } }),
      }),
    ],
    ['an output too few', ['bytes'], observed({ steps: replaced('c', { result: { ...present('c'), outputs: [] } }) })],
    ['a success without a result', ['bytes', 'ends', 'one-result'], observed({ steps: replaced('c', { result: undefined }) })],
    [
      'a failure of a command that does not fail',
      ['bytes', 'ends'],
      observed({ steps: replaced('c', {}, 3), build: { verdict: 'failed' } }),
    ],
    ['a success of a command that fails', ['bytes', 'ends'], observed({ steps: replaced('b', {}, 0) })],
    [
      'a step that was skipped for nothing',
      ['ends'],
      observed({ steps: replaced('c', { verdict: 'skipped', result: undefined, attempts: [], source: undefined }) }),
    ],
    [
      'a step that ran though one that it needs failed',
      ['bytes', 'ends'],
      observed({ steps: replaced('a', {}, 3), build: { verdict: 'failed' } }),
    ],
    [
      'a step that was given up too early',
      ['ends'],
      observed({
        steps: replaced('a', { verdict: 'errored', result: undefined, attempts: [], source: undefined }),
        build: { verdict: 'failed' },
      }),
    ],
    [
      'a step that somebody cancelled',
      ['ends'],
      observed({ steps: replaced('c', { verdict: 'cancelled', result: undefined, attempts: [], source: undefined }) }),
    ],
    [
      'a failed build without a failure',
      ['ends'],
      observed({ steps: replaced('b', { verdict: 'succeeded' }, 0), build: { verdict: 'failed' } }),
    ],
    ['an attempt that nobody took away', ['losses'], observed({ steps: replaced('c', { attempts: lost(4_000) }) })],
    ['an event that was not told', ['watchers'], observed({ watched: [historyOf(STEPS).toSpliced(2, 1)] })],
    ['an event that was told twice', ['watchers'], observed({ watched: [historyOf(STEPS).toSpliced(2, 0, historyOf(STEPS)[1] ?? end())] })],
    ['events that changed places', ['watchers'], observed({ watched: [historyOf(STEPS).toReversed()] })],
    ['an end that a watcher never saw', ['watchers'], observed({ watched: [historyOf(STEPS).slice(0, -1)] })],
  ])('%s is seen', (_title, invariants, build) => {
    const seen = broken(build);
    for (const invariant of invariants) expect(seen).toContain(invariant);
    if (invariants.length === 1)
      expect(seen.filter((one) => one !== 'ends' && one !== 'bytes')).toEqual(
        invariants.filter((one) => one !== 'ends' && one !== 'bytes'),
      );
  });

  test('a gap is right only where the watcher was told to go on from a snapshot', () => {
    const history = historyOf(STEPS);
    const parts = [history.slice(0, 2), history.slice(4)];
    expect(broken(observed({ watched: parts }))).toEqual([]);
    expect(broken(observed({ watched: [parts.flat()] }))).toEqual(['watchers']);
    expect(broken(observed({ watched: [history.slice(0, 4), history.slice(2)] }))).toEqual(['watchers']);
  });

  test('an attempt may be lost while a fault holds its agent, or shortly after, and at no other time', () => {
    const build = observed({ steps: replaced('c', { attempts: lost(4_000) }) });
    const fault = (fromMs: number, toMs: number | undefined, agents: readonly string[]): FaultRecord => {
      return { kind: 'kill-agent', target: agents.join(), fromMs, toMs, blame: { agents, classes: LOSSES } };
    };
    expect(broken(build, [fault(2_000, 3_000, ['one'])])).toEqual([]);
    expect(broken(build, [fault(100, 600, ['one'])])).toEqual([]);
    expect(broken(build, [fault(3_000, undefined, ['one'])])).toEqual([]);
    expect(broken(build, [fault(2_000, 3_000, ['two'])])).toEqual(['losses']);
    expect(broken(build, [fault(4_001, 4_500, ['one'])])).toEqual(['losses']);
    expect(broken(build, [fault(100, 400, ['one'])])).toEqual(['losses']);
    const death: FaultRecord = {
      kind: 'kill-leader',
      target: 'c',
      fromMs: 2_000,
      toMs: 3_000,
      blame: { agents: 'all', classes: ['cache-error'] },
    };
    expect(broken(build, [death])).toEqual(['losses']);
  });
});

function present(name: string): NonNullable<StepView['result']> {
  const { result } = stepOf(name, 0);
  if (result === undefined) throw new Error('it has one');
  return result;
}

function attemptsOf(name: string): StepView['attempts'] {
  return stepOf(name, 0).attempts;
}

function end(): BuildEvent {
  return { kind: 'nothing', cursor: '', atMs: 0, step: '' };
}

function journal(agent: string, ...events: readonly (JournalEvent & { readonly atMs: number; readonly boot?: string })[]) {
  const boot: JournalLine = { event: 'boot', agent, pid: 1, atMs: 0, monotonicMs: 0, boot: '1' };
  return { agent, lines: [boot, ...events.map((event): JournalLine => ({ monotonicMs: event.atMs, boot: '1', ...event }))] };
}

describe("the agents' journals", () => {
  const accepted: LedgerAttempt = { step: 'x/c', agent: 'one', accepted: true, log: LOG };
  const finished = (atMs: number, log: string = LOG) => ({ event: 'finished', token: 't', as: 'succeeded', log, atMs }) as const;
  const answered = (verdict: string) => ({ event: 'answered', token: 't', verdict, atMs: 9 }) as const;
  const fenced = (attempt: LedgerAttempt, ...journals: readonly ReturnType<typeof journal>[]) =>
    checkFenced(journals, new Map([['t', attempt]])).length;

  test('agree with a result that was accepted from the agent that made it', () => {
    expect(fenced(accepted, journal('one', finished(1), answered('accepted')))).toBe(0);
    expect(fenced({ ...accepted, accepted: false, log: undefined }, journal('one', finished(1), answered('fenced')))).toBe(0);
  });

  test('show results that the ledger took from nowhere, from another agent, or with other bytes', () => {
    expect(fenced(accepted, journal('one'))).toBe(1);
    expect(fenced(accepted, journal('one'), journal('two', finished(1)))).toBe(1);
    expect(fenced(accepted, journal('one', finished(1, OTHER)))).toBe(1);
  });

  test('show answers that do not fit the ledger', () => {
    expect(fenced(accepted, journal('one', finished(1), answered('fenced')))).toBe(1);
    expect(fenced({ ...accepted, accepted: false }, journal('one', finished(1), answered('accepted')))).toBe(1);
  });

  test('do not bind a ledger that has lost its memory since, but never let it take what no agent made', () => {
    const forgotten = (attempt: LedgerAttempt, since: number, ...events: Parameters<typeof journal>[1][]) =>
      checkFenced([journal('one', ...events)], new Map([['t', attempt]]), since).length;
    const lost = { ...accepted, accepted: false };
    expect(forgotten(lost, 9, finished(1), answered('accepted'))).toBe(0);
    expect(forgotten(lost, 8, finished(1), answered('accepted'))).toBe(1);
    expect(forgotten(accepted, 9)).toBe(1);
    expect(forgotten(accepted, 9, finished(1, OTHER))).toBe(1);
    expect(forgotten(accepted, 9, finished(1), answered('fenced'))).toBe(1);
  });

  const run = (atMs: number, token: string) =>
    [
      { event: 'accepted', token, build: 'x', step: 'c', attempt: 1, sideEffects: true, atMs },
      { event: 'started', token, atMs },
    ] as const;

  test('show two attempts with side effects at the same time, and only those', () => {
    const one = journal('one', ...run(10, 't1'), { event: 'exited', token: 't1', atMs: 20 });
    expect(checkAlone([one, journal('two', ...run(20, 't2'))])).toEqual([]);
    expect(checkAlone([one, journal('two', ...run(19, 't2'))])).toHaveLength(1);
  });

  test('take a run whose agent died for over at the last sign of that life', () => {
    const died = journal('one', ...run(10, 't1'), { event: 'registered', coordinator: 'c', epoch: 1, atMs: 15 });
    expect(checkAlone([died, journal('two', ...run(16, 't2'))])).toEqual([]);
    expect(checkAlone([died, journal('two', ...run(14, 't2'))])).toHaveLength(1);
  });

  test('are checked against what the steps witnessed', () => {
    const effects = new Map([['k/c', 1]]);
    expect(checkWitness({ starts: ['k/c', 'k/a', 'k/a'], overlaps: [] }, effects)).toEqual([]);
    expect(checkWitness({ starts: ['k/c', 'k/c'], overlaps: [] }, effects)).toHaveLength(1);
    expect(checkWitness({ starts: ['k/c'], overlaps: ['k/c'] }, effects)).toHaveLength(1);
  });
});
