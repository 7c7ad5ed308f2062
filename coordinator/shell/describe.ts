import { buildOf, stepIdOf, type BuildId, type StepId } from '../core/ids.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { StepOutcome } from '../core/state.ts';
import { isUnsealed } from '../core/step-record.ts';
import type { StepView } from '../core/view.ts';
import type { CoreView } from './core-view.ts';
import { instanceNameOf } from './instance-name.ts';
import { NO_PROVENANCE, type Consumed } from '../../cache/entries/entry-store.ts';
import type { Keepable } from './dependency-keeper.ts';
import type { DependencyPlace } from './dependency-lookup.ts';
import { encodedAction, isWhole, type BuildCache, type NeededOutputs, type Resolvable } from './resolver.ts';
import type { FullOffer, OfferedDependency } from './sessions.ts';

/** The instance name under which a build's blobs and results are kept; undefined where the build has gone. */
export function instanceOf(core: CoreView, build: BuildId): string | undefined {
  const spec = core.build(build)?.record.spec;
  return spec === undefined ? undefined : instanceNameOf(spec.project, spec.scope);
}

/** Where blobs and results are, and entries of dependency caches. */
export type DescribedStores = {
  readonly cacheOf: (instanceName: string) => BuildCache;
  readonly entries: DependencyPlace['entries'];
};

/** What a step's action is made of, now that its needs have ended; undefined where the step has gone. */
export function describeStep(core: CoreView, step: StepId, { cacheOf, entries }: DescribedStores): Resolvable | undefined {
  const build = buildOf(step);
  const spec = core.step(step)?.spec;
  const { project, scope } = core.build(build)?.record.spec ?? {};
  const instanceName = instanceOf(core, build);
  if (spec === undefined || project === undefined || scope === undefined || instanceName === undefined) return undefined;
  // An attempt could not have its inputs, which a result alone does not show: a file that another step left is only named in it.
  const hasMissed = (core.step(step)?.record.failures['cache-error'] ?? 0) > 0;
  const needed: NeededOutputs[] = [];
  for (const need of spec.needs) {
    const view = need.outputs ? core.step(stepIdOf(build, need.step)) : undefined;
    if (view?.record.state.kind !== 'ended') continue;
    const result = resultOf(view.record.state.outcome);
    if (result !== undefined && result.outputs.length > 0) {
      const mayBeGone = isUnsealed(view.record) || hasMissed;
      needed.push({ step: need.step, workingDirectory: view.spec.workingDirectory, result, mayBeGone });
    }
  }
  const hasCaches = spec.dependencyCaches !== undefined && spec.dependencyCaches.length > 0;
  const dependencies: DependencyPlace | undefined = hasCaches ? { entries, project, scope, zone: spec.zone } : undefined;
  return { spec, scope, needed, cache: cacheOf(instanceName), dependencies };
}

/** Whether all that an ended step left is there for its build; true where it left nothing. @throws {Fault} what the store throws */
export async function isLeftThere(
  core: CoreView,
  step: StepId,
  cacheOf: DescribedStores['cacheOf'],
  signal: AbortSignal,
): Promise<boolean> {
  const state = core.step(step)?.record.state;
  const scope = core.build(buildOf(step))?.record.spec.scope;
  const instanceName = instanceOf(core, buildOf(step));
  const result = state?.kind === 'ended' ? resultOf(state.outcome) : undefined;
  if (result === undefined || scope === undefined || instanceName === undefined) return true;
  return await isWhole(result, scope, cacheOf(instanceName), signal);
}

/** What a step left behind: a step that failed may have outputs too, such as reports. */
function resultOf(outcome: StepOutcome): StepResult | undefined {
  return outcome.kind === 'succeeded' || outcome.kind === 'failed' ? outcome.result : undefined;
}

/** The shell's part of an offer; undefined where step or action have gone. */
export function describeOffer(
  core: CoreView,
  step: StepId,
): Pick<FullOffer, 'spec' | 'inputRoot' | 'instanceName' | 'dependencies'> | undefined {
  const view = core.step(step);
  const build = core.build(buildOf(step));
  if (view?.record.action === undefined || build === undefined) return undefined;
  const { project, scope } = build.record.spec;
  const dependencies = offeredOf(view);
  return { spec: view.spec, inputRoot: view.record.action.inputRoot, instanceName: instanceNameOf(project, scope), dependencies };
}

function offeredOf({ spec, record }: StepView): readonly OfferedDependency[] {
  return (spec.dependencyCaches ?? []).map(({ name, paths, pushes, only = [], keeps = [] }) => {
    const found = record.action?.dependencies?.find((lookup) => lookup.name === name)?.found;
    const placed = found?.kind === 'exact' || found?.kind === 'fallback' ? found.trees : [];
    return { name, paths, placed, save: pushes, exact: found?.kind === 'exact', only, keeps };
  });
}

/** What entries of the step's dependency caches say of where they come from; undefined where step or build have gone. */
export function describeKeepable(core: CoreView, step: StepId): Keepable | undefined {
  const view = core.step(step);
  const build = core.build(buildOf(step));
  if (view === undefined || build === undefined) return undefined;
  const { project, scope, submittedBy } = build.record.spec;
  const attempt = view.record.attempts.at(-1);
  const agent = attempt === undefined ? undefined : core.agent(attempt.agent);
  return {
    project,
    scope,
    zone: view.spec.zone,
    caches: view.spec.dependencyCaches ?? [],
    provenance: {
      ...NO_PROVENANCE,
      build: build.record.id,
      step: view.spec.name,
      attempt: String(attempt?.attempt ?? 0),
      agent: attempt?.agent ?? '',
      zone: agent?.labels['zone'] ?? '',
      caller: submittedBy,
      writer: 'executor',
      consumed: consumedBy(core, view, scope),
    },
  };
}

/**
 * The entries that went into what a step has made: what its dependency caches began with, and results of the steps that it needed. Of
 * those that keep no result what went into them, too. Who made a result that came from the cache is not known here but for its agent.
 */
export function consumedBy(core: CoreView, view: StepView, scope: string): readonly Consumed[] {
  // Each once: an entry has room for some thousand, and many steps may need the same.
  const seen = new Set<StepId>([view.id]);
  const consumed: Consumed[] = [];
  const left = [view];
  for (let step = left.pop(); step !== undefined; step = left.pop()) {
    consumed.push(...cachesOf(step));
    for (const { view: needed, result } of neededBy(core, step)) {
      const { action, attempts } = needed.record;
      if (action === undefined || seen.has(needed.id)) continue;
      seen.add(needed.id);
      const build = attempts.length > 0 ? buildOf(needed.id) : '';
      const key = action.action ?? encodedAction(needed.spec, action.inputRoot).action;
      consumed.push({ kind: 'action', scope, key, build, agent: result.agent });
      if (!needed.spec.cacheable) left.push(needed);
    }
  }
  return consumed;
}

function cachesOf({ record }: StepView): readonly Consumed[] {
  return (record.action?.dependencies ?? []).flatMap(({ found }): readonly Consumed[] => {
    if (found.kind !== 'exact' && found.kind !== 'fallback') return [];
    return [{ kind: 'dependency', scope: found.scope, key: found.entry, build: found.build, agent: found.agent }];
  });
}

function neededBy(core: CoreView, { id, spec }: StepView): readonly { readonly view: StepView; readonly result: StepResult }[] {
  return spec.needs.flatMap((need) => {
    const view = need.outputs ? core.step(stepIdOf(buildOf(id), need.step)) : undefined;
    const result = view?.record.state.kind === 'ended' ? resultOf(view.record.state.outcome) : undefined;
    return view === undefined || result === undefined ? [] : [{ view, result }];
  });
}
