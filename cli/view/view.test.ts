import { describe, expect, test } from 'vitest';
import { NO_USAGE, type StepResult } from '../../cache/action/result.ts';
import type { BuildEvent, BuildSnapshot, StepView } from '../build-view.ts';
import { criticalPath } from './critical-path.ts';
import { formatBytes, formatTime, printable, printableLog, styleFor } from './format.ts';
import { frame } from './frame.ts';
import { linesOf } from './lines.ts';
import { BuildModel } from './model.ts';
import { summary, totalsOf } from './summary.ts';
import { displayWidth, fit, pad } from './width.ts';

const T0 = 1_000_000;
const PLAIN = styleFor(false);

function step(name: string, needs: readonly string[] = []): StepView {
  return {
    name,
    phase: 'blocked',
    verdict: undefined,
    source: undefined,
    message: '',
    failureClass: undefined,
    result: undefined,
    attempts: [],
    readyAtMs: undefined,
    startedAtMs: undefined,
    endedAtMs: undefined,
    needs,
    critical: true,
    action: undefined,
    mergedInto: undefined,
  };
}

const SNAPSHOT: BuildSnapshot = {
  build: {
    id: 'b-01m81srr4v387mdjafdy0bwaq4',
    name: 'demo',
    project: 'local',
    phase: 'running',
    verdict: undefined,
    labels: {},
    submittedBy: 'local',
    acceptedAtMs: T0,
    endedAtMs: undefined,
    stepsTotal: 5,
    stepsEnded: 0,
    stepsFromCache: 0,
    degraded: [],
  },
  steps: [
    step('install'),
    step('check', ['install']),
    step('test[shard=1]', ['install']),
    step('test[shard=2]', ['install']),
    step('package', ['check']),
  ],
  cursor: 'i:0',
};

function result(runMs: number, agent = 'edge-1'): StepResult {
  return { exitCode: 0, outputs: [], log: undefined, usage: { ...NO_USAGE, runMs }, agent, startedAt: 0, endedAt: runMs };
}

type Happening = BuildEvent extends infer E ? (E extends BuildEvent ? Omit<E, 'cursor' | 'atMs' | 'step'> : never) : never;

function event(atMs: number, name: string, happening: Happening): BuildEvent {
  return { cursor: `i:${atMs}`, atMs: T0 + atMs, step: name, ...happening };
}

const succeeded = { kind: 'step-ended', verdict: 'succeeded', message: '', failureClass: undefined } as const;

const STORY: readonly BuildEvent[] = [
  event(0, '', { kind: 'build-accepted' }),
  event(1, 'install', { kind: 'step-ready' }),
  event(20, 'install', { ...succeeded, source: 'cache', result: result(64_000, 'central-1') }),
  event(21, 'check', { kind: 'step-ready' }),
  event(21, 'test[shard=1]', { kind: 'step-ready' }),
  event(21, 'test[shard=2]', { kind: 'step-ready' }),
  event(30, 'check', { kind: 'step-queued', notBeforeMs: undefined, why: 'runnable' }),
  event(30, 'test[shard=1]', { kind: 'step-queued', notBeforeMs: undefined, why: 'runnable' }),
  event(31, 'test[shard=2]', { kind: 'step-merged', into: 'b-x/test[shard=2]' }),
  event(40, 'check', { kind: 'attempt-accepted', number: 1, agent: 'edge-1' }),
  event(50, 'check', { kind: 'attempt-started', number: 1, agent: 'edge-1' }),
  event(2_050, 'check', { kind: 'attempt-ended', number: 1, agent: 'edge-1', why: 'agent-lost: no heartbeat' }),
  event(2_051, 'check', { kind: 'step-queued', notBeforeMs: T0 + 3_000, why: 'agent-lost: no heartbeat' }),
  event(3_000, 'check', { kind: 'attempt-started', number: 2, agent: 'edge-2' }),
];
const END: readonly BuildEvent[] = [
  event(5_000, 'check', {
    kind: 'step-ended',
    verdict: 'failed',
    source: undefined,
    message: 'The command ended with code 2',
    failureClass: 'exit',
    result: undefined,
  }),
  event(5_001, 'package', {
    kind: 'step-ended',
    verdict: 'skipped',
    source: undefined,
    message: 'check did not succeed',
    failureClass: undefined,
    result: undefined,
  }),
  event(6_000, 'test[shard=1]', { ...succeeded, source: 'run', result: result(900, 'central-1') }),
  event(6_500, 'test[shard=2]', { ...succeeded, source: 'merge', result: result(800, 'central-1') }),
  event(6_600, '', { kind: 'build-ended', verdict: 'failed', degraded: [] }),
];

function told(events: readonly BuildEvent[]): { readonly model: BuildModel; readonly lines: readonly string[] } {
  const model = new BuildModel(SNAPSHOT);
  const lines = [...linesOf({ kind: 'snapshot', snapshot: SNAPSHOT }, model, PLAIN)];
  for (const one of events) {
    model.apply(one);
    lines.push(...linesOf({ kind: 'event', event: one }, model, PLAIN));
  }
  return { model, lines };
}

test('plain lines tell the story of a build', () => {
  expect(told([...STORY, ...END]).lines.join('\n')).toMatchInlineSnapshot(`
    "Build b-01m81srr4v387mdjafdy0bwaq4 "demo": 5 steps
       0.0s  install  succeeded, from the cache
       0.0s  test[shard=2]  joins b-x/test[shard=2], which does the same
       0.1s  check  runs on edge-1
       2.1s  check  attempt 1 on edge-1 ended, waits again: agent-lost: no heartbeat
       3.0s  check  runs on edge-2 (attempt 2)
       5.0s  check  failed after 2.0s (attempt 2): The command ended with code 2
       5.0s  package  skipped: check did not succeed
       6.0s  test[shard=1]  succeeded in 0.0s
       6.5s  test[shard=2]  succeeded, with the result of an equal step"
  `);
});

test('the live view shows what each step does, and why it waits', () => {
  const { model } = told(STORY);
  model.explain('test[shard=1]', 'no agent with class=central is connected');
  expect(frame(model, T0 + 4_000, { columns: 90, rows: 20 }, PLAIN).join('\n')).toMatchInlineSnapshot(`
    "demo  1/5 steps, 1 running, 1 from the cache, 4.0s  b-01m81srr4v387mdjafdy0bwaq4
    ✓ install        succeeded, from the cache
    ⠋ check          runs on edge-2 for 1.0s, attempt 2
    · test[shard=1]  waits: no agent with class=central is connected
    · test[shard=2]  joins b-x/test[shard=2]
    · package        needs check
      saved: 1m04s of work, 1 step did not have to run
      critical path so far: 4.0s, install (0.0s) → check (4.0s, of which it ran 1.0s)"
  `);
});

test('the live view stays within the terminal, and leaves out what matters least', () => {
  const { model } = told(STORY);
  const lines = frame(model, T0 + 4_000, { columns: 40, rows: 7 }, PLAIN, {
    notice: 'Cancelling the build; Ctrl-C again leaves it to itself',
    upload: undefined,
  });
  expect(lines.length).toBeLessThanOrEqual(7);
  expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(40);
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "demo  1/5 steps, 1 running, 1 from the …
    ⠋ check          runs on edge-2 for 1.…
    · test[shard=1]  waits for an agent
    · test[shard=2]  joins b-x/test[shard=…
      … and 2 steps more: 1 succeeded, 1 bl…
    Cancelling the build; Ctrl-C again leav…"
  `);
});

test('the summary gives results, reasons, the critical path and what the cache saved', () => {
  const { model } = told([...STORY, ...END]);
  expect(summary(model, { sentBytes: 1_024, totalBytes: 1_048_576 }, PLAIN).join('\n')).toMatchInlineSnapshot(`
    "STEP           RESULT     FROM   AGENT      TIME
    install        succeeded  cache  central-1  0.0s
    check          failed     -      edge-2     2.0s
    test[shard=1]  succeeded  run    central-1  0.0s
    test[shard=2]  succeeded  merge  central-1  0.0s
    package        skipped    -      -          -

      check: failed after 2.0s (attempt 2): The command ended with code 2
      package: skipped: check did not succeed

    Build b-01m81srr4v387mdjafdy0bwaq4 failed in 6.6s: 3 of 5 steps succeeded (1 ran, 1 from the cache, 1 merged), 1 failed, 1 skipped
    Critical path 6.5s: install (0.0s) → test[shard=2] (6.5s without running)
    Cache: 1m05s of work saved, 1020 KiB were there already, 1 KiB of 1 MiB inputs sent"
  `);
});

test('totals count time and bytes that were saved', () => {
  const { model } = told([...STORY, ...END]);
  expect(totalsOf(model.steps, { sentBytes: 10, totalBytes: 30 })).toEqual({
    steps: 5,
    succeeded: 3,
    fromCache: 1,
    merged: 1,
    ranMs: 900,
    savedMs: 64_800,
    savedBytes: 20,
    sentBytes: 10,
  });
});

test('a lost connection and its return are said', () => {
  const { model } = told(STORY);
  expect(linesOf({ kind: 'lost', reason: 'ECONNREFUSED', retryInMs: 100 }, model, PLAIN)).toEqual([
    'Connection lost (ECONNREFUSED), trying again: the build goes on meanwhile',
  ]);
  expect(linesOf({ kind: 'back' }, model, PLAIN)).toEqual(['Connected again']);
});

test('a step that was retried by hand is counted as open again', () => {
  const { model } = told([...STORY, ...END]);
  expect(model.build).toMatchObject({ phase: 'ended', stepsEnded: 5 });
  model.apply(event(9_000, 'check', { kind: 'step-queued', notBeforeMs: undefined, why: 'retried by local' }));
  expect(model.build).toMatchObject({ phase: 'running', stepsEnded: 4 });
  expect(model.step('check')).toMatchObject({ phase: 'queued', verdict: undefined });
});

test('the critical path goes back through the need that ended last', () => {
  const { model } = told([...STORY, ...END]);
  expect(criticalPath(model.steps)?.steps.map(({ name }) => name)).toEqual(['install', 'test[shard=2]']);
});

describe('texts of others cannot steer the terminal', () => {
  test('a message stays on its line', () => {
    expect(printable('a\u001b[2Jb\nc\u202ed')).toBe('a [2Jb c d');
  });

  test.for([
    ['a\u001b[31mred\u001b[0m', true, 'a\u001b[31mred\u001b[0m\u001b[0m'],
    ['a\u001b[31mred\u001b[0m', false, 'ared'],
    ['a\u001b[2Jb\u001b]0;title\u0007c', true, 'abc'],
    ['10%\r50%\r100%', true, '100%'],
    ['windows\r', true, 'windows'],
    ['tab\tstays', false, 'tab\tstays'],
  ] as const)('%j', ([line, color, shown]) => {
    expect(printableLog(line, color)).toBe(shown);
  });
});

test.for([
  [0, '0.0s'],
  [12_340, '12.3s'],
  [65_000, '1m05s'],
  [3_600_000 * 2 + 180_000, '2h03m'],
] as const)('%d ms are %s', ([ms, text]) => {
  expect(formatTime(ms)).toBe(text);
});

test('bytes and long texts are cut to what people read', () => {
  expect([0, 1_023, 1_536, 5 * 1024 ** 3].map(formatBytes)).toEqual(['0 B', '1020 B', '1.5 KiB', '5 GiB']);
  expect(fit('abcdef', 4)).toBe('abc…');
});

test('wide characters count as the two columns that they take, colours and marks as none', () => {
  expect(['日本', '🎉', 'e\u0301', '\u001b[31mred\u001b[0m', 'ä✓…'].map(displayWidth)).toEqual([4, 2, 1, 3, 3]);
  expect(fit('日本語', 4)).toBe('日…');
  expect(pad('日', 4)).toBe('日  ');
});
