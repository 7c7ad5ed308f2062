import type { ObservedBuild, Violation } from '../observation.ts';

/** Every build that was acknowledged is there and has ended, with all its steps. */
export function checkKept({ id, planned, snapshot, history }: ObservedBuild): readonly Violation[] {
  const violation = (what: string): Violation => ({ invariant: 'kept', where: id, what });
  if (snapshot === undefined || history === undefined) return [violation('was acknowledged and is not known any more')];
  if (snapshot.build.phase !== 'ended') return [violation('has not ended')];
  const names = snapshot.steps.map(({ name }) => name).join(' ');
  const wanted = planned.steps.map(({ name }) => name).join(' ');
  if (names !== wanted) return [violation(`has the steps ${names}, and was submitted with ${wanted}`)];
  return snapshot.steps.flatMap(({ name, phase }) =>
    phase === 'ended' ? [] : [violation(`${name} is ${phase}, though its build has ended`)],
  );
}
