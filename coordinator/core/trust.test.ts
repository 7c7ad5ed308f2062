import { expect, test } from 'vitest';
import { failure, Stage, stepId } from '../../test/scenarios/stage.ts';
import { OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';

const STRICT: Topology = { ...OPEN_TOPOLOGY, zones: {} };

test('a build in which a step would take outputs of a lower zone is refused, and told which, through which, and what would help', () => {
  const stage = new Stage({ topology: STRICT });
  const chain = [
    { name: 'compile', outputs: ['a'] },
    { name: 'package', zone: 'production', takes: ['compile'], outputs: ['b'] },
    { name: 'sign', zone: 'production', takes: ['package'] },
  ] as const;
  expect(stage.submit('b1', chain).reply).toEqual({
    kind: 'refused',
    code: 'FORBIDDEN',
    field: 'steps[1].needs[0]',
    message:
      'Step "package" is for zone production and takes the outputs of "compile"; "compile" may run in zone untrusted: give it zone production, ' +
      'or let the topology say "untrusted" under zones.production.inputs',
  });
  const between = [chain[0], { name: 'package', zone: 'trusted', takes: ['compile'], outputs: ['b'] }, chain[2]] as const;
  const lax: Topology = { ...STRICT, zones: { trusted: { inputs: 'untrusted' } } };
  expect(new Stage({ topology: lax }).submit('b1', between).reply).toMatchObject({
    field: 'steps[2].needs[0]',
    message: expect.stringContaining(
      'takes the outputs of "package", which are made of those of "compile"; "compile" may run in zone untrusted',
    ),
  });
  // What leaves nothing, or is only waited for, is not taken; and what the topology allows is.
  expect(stage.submit('b2', [{ name: 'compile' }, { name: 'sign', zone: 'production', needs: ['compile'] }]).reply).toMatchObject({
    kind: 'build',
  });
  expect(stage.submit('b3', [{ name: 'check' }, { name: 'sign', zone: 'production', takes: ['check'] }]).reply).toMatchObject({
    kind: 'build',
  });
  const allowed: Topology = { ...STRICT, zones: { production: { inputs: 'untrusted' } } };
  expect(new Stage({ topology: allowed }).submit('b1', chain).reply).toMatchObject({ kind: 'build' });
  expect(new Stage().submit('b1', chain).reply).toMatchObject({ kind: 'build' });
});

test('a step that asks for production is refused where its caller may not, whatever the topology allows', () => {
  for (const topology of [OPEN_TOPOLOGY, STRICT]) {
    const stage = new Stage({ topology });
    expect(stage.submit('b1', [{ name: 'sign', zone: 'production' }], { zoneCeiling: 'trusted' }).reply).toMatchObject({
      code: 'FORBIDDEN',
      field: 'steps[0].zone',
      message: expect.stringContaining("above the caller's ceiling trusted"),
    });
  }
});

test('what ran on an agent whose zone was lowered meanwhile is not taken, with the input and the agent named; nor what was made of it', () => {
  const zones = (zone: 'production' | 'untrusted'): Topology => ({
    ...STRICT,
    unlisted: 'refuse',
    clusters: [{ name: 'c', zone, pools: [] }],
  });
  const stage = new Stage({ topology: zones('production') });
  stage.agent('a1', { labels: { cluster: 'c', zone: 'production' }, credits: 100 });
  stage.submit('b1', [
    { name: 'make', zone: 'production', outputs: ['a'] },
    { name: 'sign', zone: 'production', takes: ['make'] },
    { name: 'tell', zone: 'production', needs: ['make'] },
  ]);
  stage.readyAll();
  stage.accept('b1/make');
  stage.start('b1/make');
  const apply = (topology: Topology, base: string, digest: string) =>
    stage.apply({ kind: 'topology-applied', base, digest, text: '', topology, by: 'ann', reason: '' });
  apply(zones('untrusted'), '', 'low');
  stage.finish('b1/make');
  expect(stage.state('b1/sign')).toMatchObject({
    kind: 'ended',
    outcome: {
      kind: 'failed',
      message:
        'The outputs of make (it ran on agent a1) count as zone untrusted, and a step for zone production takes those of production or higher',
    },
  });
  const why = expect.stringContaining('(it ran on agent a1)');
  expect(stage.last.sends.filter(({ kind }) => kind === 'distrusted')).toEqual([{ kind: 'distrusted', step: stepId('b1/sign'), why }]);
  expect(stage.state('b1/tell').kind).toBe('resolving');
  // It is remembered, and asked again for a retry once the agent is back where it was.
  stage.crash();
  apply(zones('production'), 'low', 'high');
  expect(stage.apply({ kind: 'step-retried', step: stepId('b1/sign'), by: 'ann' }).reply).toEqual({ kind: 'done' });
  expect(stage.state('b1/sign')).toMatchObject({ kind: 'ended', outcome: { kind: 'failed' } });
});

test('agents of an exclusive zone run no steps for lower ones, and say so', () => {
  const stage = new Stage({ topology: { ...OPEN_TOPOLOGY, zones: { production: { exclusive: true } } } });
  stage.agent('a1', { labels: { zone: 'production' } });
  stage.submit('b1', [
    { name: 'low', zone: 'trusted' },
    { name: 'high', zone: 'production' },
  ]);
  stage.readyAll();
  expect([stage.placeOf('b1/low'), stage.placeOf('b1/high')]).toEqual([undefined, 'a1']);
  expect(stage.scheduler.explain(stepId('b1/low'), stage.now)?.nearest).toEqual([
    { agent: 'a1', lacks: ['a step for zone production, the only one that its agents take'] },
  ]);
  stage.run('b1/high', failure('exit'));
  stage.apply({ kind: 'topology-applied', base: '', digest: 'x', text: '', topology: OPEN_TOPOLOGY, by: 'ann', reason: '' });
  expect(stage.placeOf('b1/low')).toBe('a1');
});
