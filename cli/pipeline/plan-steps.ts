import { meantField } from '../../base/document/field-type.ts';
import { LIMITS } from '../../coordinator/core/limits.ts';
import type { ExpandedStep, Expansion } from './expand.ts';
import { suggest } from '../../base/suggest.ts';
import type { PlannedStep } from './plan.ts';
import { planDependencyCaches } from './plan-dependency-caches.ts';
import type { Problems } from '../../base/document/problem.ts';
import { retryPolicyOf } from './retry-policy.ts';
import { entryOf, type SourceNode } from '../../base/document/source.ts';
import { stepType, type NeedAsWritten, type StepAsWritten } from './table.ts';
import { tidyPath } from './tidy-path.ts';

/** Expanded steps as planned ones, of the build's environment ('' for none); reports what is wrong within a step and between steps. */
export function planSteps({ steps, left }: Expansion, environment: string, problems: Problems): readonly PlannedStep[] {
  const read = steps.map((step) => ({
    step,
    written: stepType.read(step.fields, `steps.${step.name}`, { problems, deferred: false }),
  }));
  const instances = new Map<string, string[]>();
  for (const { key, name } of steps) instances.set(key, [...(instances.get(key) ?? []), name]);
  const names = { instances, all: new Set(steps.map(({ name }) => name)), left: new Set(left) };
  const planned = read.flatMap(({ step, written }) =>
    written === undefined ? [] : [planStep(step, written, { names, environment }, problems)],
  );
  checkCycles(planned, problems);
  if (planned.length > LIMITS.stepsPerBuild) {
    problems.error(
      { line: 1, column: 1 },
      'steps',
      `${planned.length} steps are more than the ${LIMITS.stepsPerBuild} that a build may have`,
    );
  }
  return planned;
}

type StepNames = {
  /** Names by key: one, or those of a matrix. */
  readonly instances: ReadonlyMap<string, readonly string[]>;
  readonly all: ReadonlySet<string>;
  readonly left: ReadonlySet<string>;
};

type Around = { readonly names: StepNames; readonly environment: string };

function planStep(step: ExpandedStep, written: StepAsWritten, { names, environment }: Around, problems: Problems): PlannedStep {
  const at = `steps.${step.name}`;
  const placeOf = (field: string) => entryOf(step.fields, field)?.keyPlace ?? step.entry.keyPlace;
  const wrong = (field: string, message: string, hint?: string) => problems.error(placeOf(field), `${at}.${field}`, message, hint);
  // A word for it or a template that does not exist was reported already.
  const meant = step.fields.entries.some(({ key }) => key !== 'run' && meantField(key, ['run']) === 'run');
  if (entryOf(step.fields, 'run') === undefined && !meant && !step.templateMissing)
    wrong('run', 'is missing', 'Say what to run, or name a template that does.');
  const cache = written.cache;
  if (cache?.use === true && written.sideEffects === true)
    wrong('cache', 'a step with side effects cannot be cached', 'Remove one of the two.');
  const critical = written.critical ?? true;
  if (written.onLag !== undefined && critical) wrong('onLag', 'only a step with "critical: false" may lag');
  const resources = written.resources;
  const network = written.network ?? false;
  return {
    name: step.name,
    key: step.key,
    place: step.entry.keyPlace,
    command: written.run ?? [],
    env: Object.fromEntries(written.env ?? []),
    passEnv: written.passEnv ?? [],
    workingDirectory: tidyPath(written.workingDirectory ?? ''),
    inputs: written.inputs ?? { include: [], exclude: [], ignored: false },
    needs: needsOf(step, written.needs ?? [], names, problems),
    outputs: (written.outputs ?? []).map(tidyPath),
    selector: written.labels ?? '',
    resources: {
      cpuMillis: resources?.cpu ?? 0,
      memoryBytes: resources?.memory ?? 0,
      slots: resources?.slots ?? 1,
      custom: Object.fromEntries(resources?.custom ?? []),
    },
    zone: written.zone,
    environment: written.environment === false ? '' : environment,
    sandbox: written.sandbox ?? [],
    network,
    cacheable: cache?.use ?? (!network && written.sideEffects !== true),
    salt: cache === undefined || (cache.salt === '' && cache.keys.length === 0) ? '' : JSON.stringify([cache.salt, ...cache.keys]),
    dependencyCaches: planDependencyCaches(written.dependencyCache ?? [], wrong),
    sideEffects: written.sideEffects,
    critical,
    onLag: onLagOf(written.onLag),
    runIf: written.runIf ?? 'succeeded',
    priority: written.priority ?? 0,
    queueTimeoutMs: written.queueTimeout ?? 0,
    runTimeoutMs: written.timeout ?? 0,
    totalTimeoutMs: written.totalTimeout ?? 0,
    graceMs: written.grace ?? 0,
    retry: written.retry === undefined ? undefined : retryPolicyOf(written.retry),
  };
}

function onLagOf(written: StepAsWritten['onLag']): PlannedStep['onLag'] {
  return written?.after === undefined || written.use === undefined ? undefined : { afterMs: written.after, use: written.use };
}

/** Names as the build will know them: a step with a matrix stands for all its combinations; steps that `when` left out are dropped. */
function needsOf(step: ExpandedStep, written: readonly NeedAsWritten[], names: StepNames, problems: Problems): PlannedStep['needs'] {
  const node = entryOf(step.fields, 'needs')?.value;
  const found = new Map<string, boolean>();
  written.forEach((need, index) => {
    if (need.step === undefined) return;
    const targets = names.instances.get(need.step) ?? (names.all.has(need.step) ? [need.step] : undefined);
    if (targets === undefined && !names.left.has(need.step)) {
      const known = [...names.instances.keys(), ...names.all].filter((name) => name !== step.key);
      const near = suggest(need.step, known);
      const { place, field } = itemAt(node, index, step);
      const base = need.step.replace(/\[.*$/s, '');
      const plain = base !== need.step && names.all.has(base) ? `"${base}" has no matrix: write "${base}".` : undefined;
      const hint = near === undefined ? `Its steps: ${listed([...names.instances.keys(), ...names.all])}.` : `Did you mean "${near}"?`;
      problems.error(place, field, `there is no step "${need.step}"`, plain ?? hint);
    }
    for (const target of targets ?? []) found.set(target, (found.get(target) ?? false) || need.outputs);
  });
  return [...found].map(([name, outputs]) => ({ step: name, outputs }));
}

function listed(names: readonly string[]): string {
  const known = [...new Set(names)];
  return known.length <= 12 ? known.join(', ') : `${known.slice(0, 12).join(', ')}, …`;
}

function itemAt(node: SourceNode | undefined, index: number, step: ExpandedStep) {
  const field = `steps.${step.name}.needs`;
  if (node?.kind !== 'list') return { place: node?.place ?? step.entry.keyPlace, field };
  return { place: node.items[index]?.place ?? node.place, field: `${field}[${index}]` };
}

/** Reports each cycle once, with the way around it. */
function checkCycles(steps: readonly PlannedStep[], problems: Problems): void {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const state = new Map<string, 'open' | 'done'>();
  for (const start of steps) {
    if (state.has(start.name)) continue;
    const way: { readonly step: PlannedStep; next: number }[] = [{ step: start, next: 0 }];
    state.set(start.name, 'open');
    for (let top = way.at(-1); top !== undefined; top = way.at(-1)) {
      const need = top.step.needs[top.next];
      top.next += 1;
      const target = need === undefined ? undefined : byName.get(need.step);
      if (need === undefined) {
        state.set(top.step.name, 'done');
        way.pop();
      } else if (target !== undefined && state.get(target.name) === 'open') {
        const around = way.slice(way.findIndex(({ step }) => step === target)).map(({ step }) => step.name);
        problems.error(
          target.place,
          `steps.${target.key}.needs`,
          around.length === 1 ? 'the step needs itself' : `the steps need each other in a circle: ${[...around, target.name].join(' → ')}`,
        );
      } else if (target !== undefined && !state.has(target.name)) {
        state.set(target.name, 'open');
        way.push({ step: target, next: 0 });
      }
    }
  }
}
