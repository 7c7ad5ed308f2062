import type { OfferedDependency } from '../../agent/session/message.ts';
import { present } from '../../base/assert.ts';
import type { Prng } from '../../base/prng.ts';
import type { StepResult } from '../../cache/action/result.ts';
import { actionOf } from '../../cache/action/action.ts';
import { digestOf, type Digest } from '../../cache/digest.ts';
import type { DependencyResult, DependencySave } from '../../coordinator/core/dependency.ts';
import type { Resolution } from '../../coordinator/core/event.ts';
import { buildOf, stepIdOf, type StepId } from '../../coordinator/core/ids.ts';
import { saltOf } from '../../coordinator/shell/dependency-key.ts';
import { SimDependencies } from './dependencies.ts';
import type { Image } from './image.ts';
import type { StepPlan } from './workload.ts';

export type ResolverOptions = {
  readonly prng: Prng;
  /** Draws what becomes of dependency caches. */
  readonly dependencies: Prng;
  /** Draws how long entries wait to be written. */
  readonly publishing: Prng;
  readonly stepPlan: (step: StepId) => StepPlan;
  /** Chance that the cache cannot be asked. */
  readonly down: () => number;
};

/**
 * The shell's work on inputs and the action cache, with digests in place of bytes. The cache outlives coordinators.
 * `decided` is the state that the coordinator has come to that asks.
 */
export class Resolver {
  readonly #options: ResolverOptions;
  readonly #cache = new Map<string, StepResult>();
  readonly #dependencies: SimDependencies;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#dependencies = new SimDependencies(options.dependencies);
  }

  delayMs(): number {
    return this.#options.prng.below(50);
  }

  resolve(step: StepId, decided: Image): Resolution | undefined {
    const { prng, stepPlan, down } = this.#options;
    const plan = stepPlan(step);
    if (decided.steps.get(step) === undefined) return undefined;
    if (prng.next() < down()) return { kind: 'unavailable', message: 'drawn to be down' };
    if (plan.invalid) return { kind: 'invalid', message: 'drawn to contradict itself' };
    const inputRoot = present(this.#inputRoot(step, decided), 'the step is known');
    const { action } = actionOf({ ...plan.spec, salt: saltOf(plan.spec), inputRoot });
    const found = this.#dependencies.lookUp(plan.spec, this.#scopeOf(step, decided));
    const resolved = { action, inputRoot, inputBytes: 1_000, parts: [{ root: inputRoot, bytes: 1_000 }], ...found };
    const hit = plan.spec.cacheable ? this.#cache.get(this.#key(step, action, decided)) : undefined;
    return hit === undefined ? { kind: 'ready', action: resolved } : { kind: 'hit', action: resolved, result: hit };
  }

  publishDelayMs(): number {
    return this.#options.publishing.below(1_000);
  }

  publish(step: StepId, action: Digest, result: StepResult, decided: Image): void {
    if (decided.builds.has(buildOf(step))) this.#cache.set(this.#key(step, action, decided), result);
  }

  /** Whether the step's result is in the cache: it has an entry of its action. */
  isPublished(step: StepId, image: Image): boolean {
    const action = image.steps.get(step)?.action?.action;
    return action !== undefined && this.#cache.has(this.#key(step, action, image));
  }

  /** Root of the whole input, as it was worked out for the step; undefined where the step has gone. */
  inputRootOf(step: StepId, decided: Image): Digest | undefined {
    return decided.steps.get(step)?.action?.inputRoot;
  }

  keepDelayMs(): number {
    return this.#dependencies.delayMs();
  }

  /** Writes entries of dependency caches; undefined where the step has gone. */
  keep(step: StepId, saves: readonly DependencySave[], decided: Image): readonly DependencyResult[] | undefined {
    if (decided.steps.get(step) === undefined) return undefined;
    return this.#dependencies.keep(this.#options.stepPlan(step).spec, this.#scopeOf(step, decided), saves);
  }

  offeredOf(step: StepId, decided: Image): readonly OfferedDependency[] {
    return this.#dependencies.offered(this.#options.stepPlan(step).spec, decided.steps.get(step)?.action?.dependencies ?? []);
  }

  #scopeOf(step: StepId, decided: Image): string {
    const { project, scope } = present(decided.builds.get(buildOf(step)), 'the build of a step').spec;
    return `${project}/${scope}`;
  }

  #key(step: StepId, action: Digest, decided: Image): string {
    const spec = present(decided.builds.get(buildOf(step)), 'the build of a step').spec;
    return `${spec.project}/${spec.scope}/${spec.zoneCeiling}/${action}`;
  }

  /** The step's own input and, at its place, what each needed step left. */
  #inputRoot(step: StepId, decided: Image): Digest | undefined {
    const { spec } = this.#options.stepPlan(step);
    const outputs = spec.needs
      .filter((need) => need.outputs)
      .map((need) => {
        const state = decided.steps.get(stepIdOf(buildOf(step), need.step))?.state;
        const result = state?.kind === 'ended' && state.outcome.kind === 'succeeded' ? state.outcome.result : undefined;
        return result === undefined ? 'nothing' : JSON.stringify(result.outputs);
      });
    return outputs.length === 0 ? spec.inputRoot : digestOf(Buffer.from(`${spec.inputRoot} ${outputs.join(' ')}`));
  }
}
