import type { BreakerView } from './breaker.ts';
import type { Metrics, Reading } from './metrics.ts';

const BREAKER_KINDS = ['closed', 'half-open', 'open'] as const;

/** The breakers of a process' dependencies, in numbers. */
export function breakerMetrics(metrics: Metrics, breakers: () => readonly BreakerView[]): void {
  metrics.read({
    name: 'switchyard_dependency_breaker_state',
    help: '1 for the state of the breaker of each dependency, 0 for the others. Open: it is left alone, and what needs it waits.',
    kind: 'gauge',
    labels: ['dependency', 'state'],
    values: () =>
      breakers().flatMap(({ dependency, kind }) =>
        BREAKER_KINDS.map((state) => ({ value: kind === state ? 1 : 0, labels: { dependency, state } })),
      ),
  });
  const sums = (key: 'opened' | 'faults' | 'refused') => (): readonly Reading<'dependency'>[] =>
    breakers().map(({ dependency, counts }) => ({ value: counts[key], labels: { dependency } }));
  metrics.read({
    name: 'switchyard_dependency_breaker_opened_total',
    help: 'Times that a breaker opened.',
    kind: 'counter',
    labels: ['dependency'],
    values: sums('opened'),
  });
  metrics.read({
    name: 'switchyard_dependency_faults_total',
    help: 'Calls that failed by the fault of the dependency: it was away, could not serve, or did not answer in time.',
    kind: 'counter',
    labels: ['dependency'],
    values: sums('faults'),
  });
  metrics.read({
    name: 'switchyard_dependency_refused_total',
    help: 'Calls that were not made because the breaker was open.',
    kind: 'counter',
    labels: ['dependency'],
    values: sums('refused'),
  });
}
