import { expect, test } from 'vitest';
import type { AttemptReport, DependencyReport, DirectoryOutput } from '../../cache/action/result.ts';
import { digestOf } from '../../cache/digest.ts';
import { failure, RESULT, Stage, stepId, told } from '../../test/scenarios/stage.ts';
import type { DependencyLookup } from './dependency.ts';
import type { DependencyCache } from './spec.ts';

const ROOT = digestOf(Buffer.from('tree'));
const TREE: DirectoryOutput = { kind: 'directory', path: '.npm', tree: ROOT, root: ROOT, bytes: 9 };
const CACHE: DependencyCache = { name: 'npm', paths: ['.npm'], key: 'k2', parts: [], fallback: ['k'], pulls: true, pushes: true };
const FALLBACK: DependencyLookup = {
  name: 'npm',
  found: { kind: 'fallback', key: 'k1', entry: 'npm/x/k1', scope: 'main', build: 'b', agent: 'a', trees: [TREE] },
  why: ['package-lock.json has changed'],
};

function report(save: DependencyReport['save'], placeProblem?: string): AttemptReport {
  const said = placeProblem === undefined ? {} : { placeProblem };
  return { kind: 'succeeded', result: RESULT, dependencies: [{ name: 'npm', ...said, save }] };
}

/** A step with a dependency cache, offered to an agent. */
function stageWith(lookup: DependencyLookup = FALLBACK, cache: DependencyCache = CACHE): Stage {
  const stage = new Stage();
  stage.agent('a1');
  stage.submit('b1', [{ name: 'x', dependencyCaches: [cache], retry: { ...RETRY } }]);
  stage.ready('b1/x', 'x', { dependencies: [lookup] });
  return stage;
}
const RETRY = {
  limits: { exit: 1, timeout: 0, output: 0, oom: 0, 'agent-lost': 3, 'agent-stop': 3, 'sandbox-error': 3, 'cache-error': 3 },
  initialMs: 1,
  maxMs: 1,
};

const keptOf = (stage: Stage) => stage.scheduler.step(stepId('b1/x'))?.record.kept;
const lines = (stage: Stage) => stage.scheduler.explain(stepId('b1/x'), stage.now)?.dependencyCaches;
const settle = (stage: Stage, outcome: 'kept' | 'same' | 'differs' | 'dropped', warning?: string) =>
  stage.apply({
    kind: 'dependencies-kept',
    step: stepId('b1/x'),
    results: [{ name: 'npm', outcome, ...(warning === undefined ? {} : { warning }) }],
  });

test('what a success has stored is to be written, and the answer is remembered though the build has ended', () => {
  const stage = stageWith();
  const outcome = stage.run('b1/x', report({ kind: 'stored', trees: [TREE] }));
  expect(outcome.sends).toContainEqual({ kind: 'keep-dependencies', step: stepId('b1/x'), saves: [{ name: 'npm', trees: [TREE] }] });
  expect(keptOf(stage)).toEqual([{ name: 'npm', save: { kind: 'pending', trees: [TREE] }, warnings: [] }]);
  expect(settle(stage, 'kept').writes).toHaveLength(1);
  expect(keptOf(stage)).toEqual([{ name: 'npm', save: { kind: 'kept' }, warnings: [] }]);
  expect(lines(stage)).toEqual([
    'npm: not found under its key k2; the newest that a fallback allows is k1 in the scope main',
    'npm: package-lock.json has changed',
    'npm: what the step left is kept under the key',
  ]);
  expect(settle(stage, 'dropped').writes).toEqual([]);
  expect(stage.scheduler.tally.dependencySaves).toMatchObject({ kept: 1 });
});

test('how what was found came to its place is remembered, whatever became of the step, and paths of others are left out', () => {
  const restores = [
    { path: '.npm', rung: 'delta', bytesIn: 2_048 },
    { path: 'elsewhere', rung: 'copy', bytesIn: 1 },
  ];
  const line = 'npm: ".npm" came to its place by delta: 2Ki bytes fetched';
  for (const kind of ['succeeded', 'failed'] as const) {
    const stage = stageWith();
    const dependencies = [{ name: 'npm', restores, save: { kind: 'none' as const } }];
    stage.run(
      'b1/x',
      kind === 'succeeded' ? { kind, result: RESULT, dependencies } : { kind, class: 'exit', message: 'x', result: RESULT, dependencies },
    );
    expect(keptOf(stage)?.[0]?.restores).toEqual(restores.slice(0, 1));
    expect(lines(stage)).toContain(line);
    stage.crash();
    expect(lines(stage)).toContain(line);
  }
});

test('another root under the same key is counted and said', () => {
  const stage = stageWith();
  stage.run('b1/x', report({ kind: 'stored', trees: [TREE] }));
  settle(stage, 'differs', 'non-determinism: look');
  expect(stage.scheduler.tally.dependencySaves).toMatchObject({ differs: 1 });
  expect(lines(stage)).toContain('npm: warning: non-determinism: look');
});

test('what was not written when the coordinator died is written by the next one', () => {
  const stage = stageWith();
  stage.run('b1/x', report({ kind: 'stored', trees: [TREE] }));
  stage.advance(10 * 60_000);
  expect(told(stage.crash())).toEqual(['keep-dependencies']);
  settle(stage, 'same');
  expect(told(stage.crash())).toEqual([]);
});

test('a save that was dropped is counted and said, and the step has succeeded', () => {
  const stage = stageWith();
  const outcome = stage.run('b1/x', report({ kind: 'dropped', problem: 'disk full' }, 'no such blob'));
  expect(told(outcome)).not.toContain('keep-dependencies');
  expect(stage.state('b1/x')).toMatchObject({ outcome: { kind: 'succeeded' } });
  expect(stage.scheduler.tally.dependencySaves).toMatchObject({ dropped: 1 });
  expect(keptOf(stage)?.[0]?.warnings).toEqual([
    'what was found could not be placed, so the step began without: no such blob',
    'what the step left could not be stored, so the next run begins with what there was before: disk full',
  ]);
});

test('an agent that does not know dependency caches costs what it would have kept, and says so', () => {
  const stage = stageWith();
  stage.run('b1/x');
  expect(keptOf(stage)).toMatchObject([{ save: { kind: 'dropped' }, warnings: [expect.stringContaining('its agent is too old')] }]);
});

test("nothing is kept of a failure, nor by a policy that only takes up, nor in paths that are not the cache's", () => {
  const failing = stageWith();
  failing.run('b1/x', { ...failure('exit'), dependencies: [{ name: 'npm', save: { kind: 'stored', trees: [TREE] } }] });
  expect(keptOf(failing)?.[0]?.save.kind).toBe('none');
  const pulling = stageWith(FALLBACK, { ...CACHE, pushes: false });
  expect(told(pulling.run('b1/x', report({ kind: 'stored', trees: [TREE] })))).not.toContain('keep-dependencies');
  const strange = stageWith();
  expect(told(strange.run('b1/x', report({ kind: 'stored', trees: [{ ...TREE, path: 'etc' }] })))).not.toContain('keep-dependencies');
});

test('a retry by hand begins anew: what an earlier attempt said is forgotten', () => {
  const stage = stageWith();
  for (let tries = 0; tries < 2; tries += 1) {
    stage.run('b1/x', { ...failure('exit'), dependencies: [{ name: 'npm', placeProblem: 'gone', save: { kind: 'none' } }] });
    stage.advance(1_000);
  }
  expect(keptOf(stage)?.[0]?.warnings).toHaveLength(1);
  stage.apply({ kind: 'step-retried', step: stepId('b1/x'), by: 'me' });
  expect(keptOf(stage)).toBeUndefined();
});

test('placement knows who has the trees: those of the entry and those that were left', () => {
  const stage = stageWith();
  stage.run('b1/x', report({ kind: 'stored', trees: [{ ...TREE, root: digestOf(Buffer.from('left')), bytes: 2 ** 30 }] }));
  stage.agent('a2');
  const parts = [{ root: digestOf(Buffer.from('left')), bytes: 2 ** 30 }];
  stage.submit('b2', [{ name: 'x' }]);
  stage.ready('b2/x', 'other', { inputBytes: 2 ** 30, parts });
  expect(stage.placeOf('b2/x')).toBe('a1');
});

test('lookups are counted by what they came to', () => {
  expect(stageWith().scheduler.tally.dependencyLookups).toEqual({ exact: 0, fallback: 1, nothing: 0, unknown: 0, unwanted: 0 });
});
