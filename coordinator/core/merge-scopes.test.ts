import { describe, expect, test } from 'vitest';
import { ZONES, type Zone } from '../../base/zone.ts';
import { RESULT, Stage, stepId, SUCCESS } from '../../test/scenarios/stage.ts';

/** For whom a step runs, as far as that decides who may share its run. */
type For = { readonly project: string; readonly scope: string; readonly zoneCeiling: Zone; readonly zone: Zone };

const SCOPES = ['main', 'main/pr-7', 'main/pr-7/try', 'main/pr-8', 'release'];
const base: For = { project: 'p', scope: 'main', zoneCeiling: 'production', zone: 'untrusted' };
const EVERYBODY: readonly For[] = [
  ...SCOPES.map((scope) => ({ ...base, scope })),
  ...SCOPES.map((scope) => ({ ...base, scope, project: 'q' })),
  ...ZONES.map((zone) => ({ ...base, zone })),
  ...ZONES.map((zoneCeiling) => ({ ...base, zoneCeiling })),
];
const nameOf = ({ project, scope, zoneCeiling, zone }: For) => `${project}/${scope}, ${zone} up to ${zoneCeiling}`;

describe.each(EVERYBODY.map((one) => [nameOf(one), one] as const))('of two equal steps at once, the first for %s', (name, first) => {
  test('the second runs by itself unless it is for the very same', () => {
    for (const second of EVERYBODY) {
      const stage = new Stage();
      stage.agent('a1', { labels: { zone: 'production' }, capacity: { slots: 4 }, sandbox: ['isolatesHost'] });
      for (const [build, { zone, ...owner }] of [
        ['b1', first],
        ['b2', second],
      ] as const) {
        stage.submit(build, [{ name: 'x', zone }], owner);
        stage.ready(`${build}/x`, 'the same action');
      }
      const same = nameOf(second) === name;
      expect([nameOf(second), stage.state('b2/x').kind]).toEqual([nameOf(second), same ? 'merged' : 'offered']);
      const made = { ...RESULT, exitCode: 0, agent: 'made by the first' };
      stage.run('b1/x', { ...SUCCESS, result: made });
      if (!same) {
        expect([nameOf(second), stage.state('b2/x').kind]).toEqual([nameOf(second), 'offered']);
        stage.run('b2/x', { ...SUCCESS, result: { ...RESULT, agent: 'made by the second' } });
      }
      const { state } = stage.scheduler.step(stepId('b2/x'))?.record ?? {};
      const got = state?.kind === 'ended' && state.outcome.kind === 'succeeded' ? state.outcome.result.agent : undefined;
      expect([nameOf(second), got]).toEqual([nameOf(second), same ? 'made by the first' : 'made by the second']);
    }
  });
});
