import { buildOf, stepIdOf, type BuildId, type StepId } from '../core/ids.ts';
import type { StepResult } from '../../cache/action/result.ts';
import type { StepOutcome } from '../core/state.ts';
import type { CoreView } from './core-view.ts';
import { instanceNameOf } from './instance-name.ts';
import type { BuildCache, NeededOutputs, Resolvable } from './resolver.ts';
import type { FullOffer } from './sessions.ts';

/** The instance name under which a build's blobs and results are kept; undefined where the build has gone. */
export function instanceOf(core: CoreView, build: BuildId): string | undefined {
  const spec = core.build(build)?.record.spec;
  return spec === undefined ? undefined : instanceNameOf(spec.project, spec.scope);
}

/** What a step's action is made of, now that its needs have ended; undefined where the step has gone. */
export function describeStep(core: CoreView, step: StepId, cacheOf: (instanceName: string) => BuildCache): Resolvable | undefined {
  const build = buildOf(step);
  const spec = core.step(step)?.spec;
  const scope = core.build(build)?.record.spec.scope;
  const instanceName = instanceOf(core, build);
  if (spec === undefined || scope === undefined || instanceName === undefined) return undefined;
  const needed: NeededOutputs[] = [];
  for (const need of spec.needs) {
    const view = need.outputs ? core.step(stepIdOf(build, need.step)) : undefined;
    if (view?.record.state.kind !== 'ended') continue;
    const result = resultOf(view.record.state.outcome);
    if (result !== undefined && result.outputs.length > 0) {
      needed.push({ step: need.step, workingDirectory: view.spec.workingDirectory, result });
    }
  }
  return { spec, scope, needed, cache: cacheOf(instanceName) };
}

/** What a step left behind: a step that failed may have outputs too, such as reports. */
function resultOf(outcome: StepOutcome): StepResult | undefined {
  return outcome.kind === 'succeeded' || outcome.kind === 'failed' ? outcome.result : undefined;
}

/** The shell's part of an offer; undefined where step or action have gone. */
export function describeOffer(core: CoreView, step: StepId): Pick<FullOffer, 'spec' | 'inputRoot' | 'instanceName'> | undefined {
  const view = core.step(step);
  const build = core.build(buildOf(step));
  if (view?.record.action === undefined || build === undefined) return undefined;
  const { project, scope } = build.record.spec;
  return { spec: view.spec, inputRoot: view.record.action.inputRoot, instanceName: instanceNameOf(project, scope) };
}
